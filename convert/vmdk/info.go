package vmdk

// Info describes an image.
type Info struct {
	VirtualSize int64  `json:"virtual_size"`
	CreateType  string `json:"create_type"`
	// CID is the content identifier, eight hexadecimal digits.
	CID     string       `json:"cid"`
	Extents []ExtentInfo `json:"extents"`
}

// ExtentInfo describes the file of one extent. Only Type and Size mean
// something for a flat one.
type ExtentInfo struct {
	Type       string `json:"type"`
	Size       int64  `json:"size"`
	Version    int    `json:"version,omitempty"`
	GrainSize  int64  `json:"grain_size,omitempty"`
	Compressed bool   `json:"compressed,omitempty"`
	// Footer says that the file ends with a copy of its header; Redundant
	// that it has a second grain directory; ZeroedGrains that table entries
	// may mark zeros.
	Footer       bool `json:"footer,omitempty"`
	Redundant    bool `json:"redundant_directory,omitempty"`
	ZeroedGrains bool `json:"zeroed_grains,omitempty"`
	// Unclean says that the file was not closed by its last writer.
	Unclean bool `json:"unclean_shutdown,omitempty"`
}

// Info describes the image.
func (img *Image) Info() Info {
	info := Info{VirtualSize: img.size, CreateType: img.createType, CID: hex8(img.cid)}
	for _, e := range img.extents {
		info.Extents = append(info.Extents, e.info())
	}
	return info
}

func (s *sparse) info() ExtentInfo {
	return ExtentInfo{
		Type: "SPARSE", Size: s.size, Version: int(s.h.version), GrainSize: s.grainBytes,
		Compressed: s.h.compressed(), Footer: s.footer, Redundant: s.h.redundant(),
		ZeroedGrains: s.h.zeroGrains(), Unclean: s.h.uncleanShutdown != 0,
	}
}

func (f *flat) info() ExtentInfo { return ExtentInfo{Type: "FLAT", Size: f.size} }
