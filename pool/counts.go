package pool

// Counts is how much a node has, in all folders, and what is being made of it.
type Counts struct {
	Images, Snapshots, Disks int
	// DiskBytes are the sizes of the disks in each disk directory.
	DiskBytes map[string]int64
}

// Counts counts what the node has.
func (n *Node) Counts() Counts {
	disks := n.disks.all()
	c := Counts{
		Images: len(n.images.all()), Snapshots: len(n.snapshots.all()), Disks: len(disks),
		DiskBytes: make(map[string]int64),
	}
	for _, d := range disks {
		c.DiskBytes[d.Dir] += d.Size
	}
	return c
}
