package pool

import (
	"fmt"

	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/convert"
)

// Image is a disk image: bytes that do not change, and what is known of them.
type Image struct {
	Meta[ImageID]
	Contents
	Heritage
	// Format is the format that the image came in.
	Format convert.Format `json:"format"`
	// Family groups the images of which the newest is wanted.
	Family string `json:"family,omitempty"`
	// MinDiskSize is the least size in bytes of disks made from the image.
	MinDiskSize int64 `json:"min_disk_size,omitempty"`
	// Pooled asks for disks made ahead of demand.
	Pooled bool `json:"pooled,omitempty"`
	// Source says what the image was made from, without secrets.
	Source Source `json:"source,omitzero"`
}

// Contents are an image's or a snapshot's bytes: where they are, and how many.
type Contents struct {
	// Digest identifies the guest bytes; Manifest is where the store has
	// them.
	Digest   cas.Digest     `json:"digest"`
	Manifest cas.ManifestID `json:"manifest"`
	// VirtualSize is the guest's disk, StorageSize the part of it that holds
	// data, both in bytes and before deduplication.
	VirtualSize int64 `json:"virtual_size"`
	StorageSize int64 `json:"storage_size"`
	// Chunks is the number of chunks that the bytes are in.
	Chunks int64 `json:"chunks"`
}

func contentsOf(info cas.ImageInfo) Contents {
	return Contents{
		Digest: info.Digest, Manifest: info.ID,
		VirtualSize: info.Size, StorageSize: info.DataBytes, Chunks: info.Chunks,
	}
}

// checkDigest says whether the bytes are those that are expected, if any are:
// ErrDigest.
func (c *Contents) checkDigest(want *cas.Digest) error {
	if want == nil || *want == c.Digest {
		return nil
	}
	return fmt.Errorf("image has digest %v, expected %v: %w", c.Digest, *want, ErrDigest)
}

// roots lists the manifests that a record keeps.
func (c *Contents) roots() []cas.ManifestID { return []cas.ManifestID{c.Manifest} }

// Source is what an image is made from: one of these, or none when it was
// imported offline.
type Source struct {
	Image    ImageID    `json:"image,omitempty"`
	Snapshot SnapshotID `json:"snapshot,omitempty"`
	Disk     DiskID     `json:"disk,omitempty"`
	// URI is without its query and user, which may hold secrets.
	URI string `json:"uri,omitempty"`
}
