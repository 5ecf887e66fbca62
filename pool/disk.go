package pool

import (
	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/convert"
	"github.com/blockmill/blockmill/pool/provision"
)

// BackingID names the files of a disk in its disk directory.
type BackingID = provision.BackingID

// Disk is a disk for a virtual machine.
type Disk struct {
	Meta[DiskID]
	Heritage
	Type string `json:"type,omitempty"`
	Zone string `json:"zone,omitempty"`
	// Size is in bytes; BlockSize is what the API says of it.
	Size      int64 `json:"size"`
	BlockSize int64 `json:"block_size,omitempty"`
	// Source is the image or snapshot that the disk was made from, which may
	// be gone; neither for an empty disk.
	Source Source `json:"source,omitzero"`
	// Base is the manifest that the disk still reads from, as overlays and
	// lazy disks do; the record keeps it. Zero when there is none.
	Base cas.ManifestID `json:"base,omitzero"`
	// Dir is the disk directory, Backing the files in it.
	Dir     string    `json:"dir,omitempty"`
	Backing BackingID `json:"backing,omitempty"`
	// Method says how the disk was made.
	Method provision.Method `json:"method,omitempty"`
	// Format is that of the disk's file; it is never probed.
	Format convert.Format `json:"format,omitempty"`
	// PlacementPolicy is the API's message, encoded.
	PlacementPolicy []byte `json:"placement_policy,omitempty"`
}

// roots lists the manifests that the record keeps.
func (d *Disk) roots() []cas.ManifestID {
	if d.Base == (cas.ManifestID{}) {
		return nil
	}
	return []cas.ManifestID{d.Base}
}

// backing is the disk's files. Those of a lazy disk that has come over are as if
// they had been copied.
func (d *Disk) backing() provision.Backing {
	b := provision.Backing{ID: d.Backing, Dir: d.Dir, Method: d.Method, Format: d.Format, Size: d.Size}
	if b.Method == provision.Lazy && d.Base == (cas.ManifestID{}) {
		b.Method = provision.Copy
	}
	return b
}

// lazy says whether the disk still reads from the store.
func (d *Disk) lazy() bool { return d.backing().Method == provision.Lazy }
