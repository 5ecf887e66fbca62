// Package disks measures how long it takes to make a disk from an image: by a
// node of ours, durable when it returns, and by the programs that do the same.
//
// The types to know are [Place], a file system of a kind with an image in it
// and a node over it, and [Latencies], what came out. [Simulate] is about how
// many disks to keep ready, not about how fast: it plays demands against rules.
// [Place.Play] plays them against the node, by the real clock. No case of
// blockbench does either: the tests of this package do, which printed
// bench/results/pools.txt and pools-played.txt.
//
// Places other than the plain directory are loop mounts and need root. One
// goroutine uses a Place at a time.
package disks
