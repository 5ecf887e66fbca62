package pool

// Snapshot is what a disk held at one time.
type Snapshot struct {
	Meta[SnapshotID]
	Contents
	Heritage
	// SourceDisk is the disk, which may be gone.
	SourceDisk DiskID `json:"source_disk"`
}
