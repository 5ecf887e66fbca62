package qcow2

// Info is what an image's header says of it. Sizes are in bytes.
type Info struct {
	Format         string `json:"format"`
	VirtualSize    int64  `json:"virtual_size"`
	ClusterSize    int64  `json:"cluster_size"`
	Compression    string `json:"compression"` // of such clusters as are compressed
	Version        int    `json:"version"`
	RefcountBits   int    `json:"refcount_bits"`
	ExtendedL2     bool   `json:"extended_l2"`
	LazyRefcounts  bool   `json:"lazy_refcounts"`
	Dirty          bool   `json:"dirty"`
	Snapshots      int    `json:"snapshots"`
	Bitmaps        int    `json:"bitmaps"`
	SubclusterSize int64  `json:"subcluster_size,omitempty"`
}

// Info tells the image's properties.
func (im *Image) Info() Info {
	info := Info{
		Format:        format,
		VirtualSize:   im.geo.size,
		ClusterSize:   im.geo.clusterSize,
		Compression:   "zlib",
		Version:       int(im.hdr.version),
		RefcountBits:  1 << im.hdr.refcountOrder,
		ExtendedL2:    im.geo.extended,
		LazyRefcounts: im.hdr.compatible.has(compatLazyRefcounts),
		Dirty:         im.hdr.incompatible.has(incompatDirty),
		Snapshots:     int(im.hdr.nbSnapshots),
		Bitmaps:       int(im.ext.bitmaps.count),
	}
	if im.hdr.compressionType == compressionZstd {
		info.Compression = "zstd"
	}
	if im.geo.extended {
		info.SubclusterSize = im.geo.clusterSize / subclusters
	}
	return info
}
