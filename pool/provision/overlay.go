package provision

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/blockmill/blockmill/blockio"
)

// An overlay is a qcow2 of version 3 (the interop specification docs/interop/qcow2
// of QEMU) that holds nothing yet: clusters of 64 KiB for the header, the
// refcount table, one block of refcounts, and an L1 table that is large enough
// for every size that a disk may grow to.
//
//	offset  size
//	     0     4  magic "QFI\xfb"
//	     4     4  version, 3
//	     8     8  offset of the base's name
//	    16     4  its length
//	    20     4  cluster bits, 16
//	    24     8  virtual size
//	    36     4  entries of the L1 table
//	    40     8  offset of the L1 table
//	    48     8  offset of the refcount table
//	    56     4  its clusters
//	    96     4  refcount order, 4: 16 bits
//	   100     4  length of this header, 104
//	   104        extensions: the base's format, the end
const (
	overlayBits    = 16
	overlayCluster = 1 << overlayBits
	overlayHeader  = 104
	// MaxSize is the largest disk, in bytes.
	MaxSize        = 26 << 40
	overlayL1      = MaxSize >> (2*overlayBits - 3) // an L2 table has a cluster of 8-byte entries
	overlayL1At    = 3 * overlayCluster
	overlayLength  = overlayL1At + (overlayL1*8+overlayCluster-1)/overlayCluster*overlayCluster
	overlaySizeAt  = 24
	overlayRefsAt  = 2 * overlayCluster
	overlayTableAt = 1 * overlayCluster
	extFormat      = 0xe2792aca
)

// overlayHead is the first cluster's beginning.
func overlayHead(size int64, base string) []byte {
	be := binary.BigEndian
	p := make([]byte, overlayHeader, 512)
	copy(p, "QFI\xfb")
	be.PutUint32(p[4:], 3)
	be.PutUint32(p[20:], overlayBits)
	be.PutUint64(p[overlaySizeAt:], uint64(size))
	be.PutUint32(p[36:], overlayL1)
	be.PutUint64(p[40:], overlayL1At)
	be.PutUint64(p[48:], overlayTableAt)
	be.PutUint32(p[56:], 1)
	be.PutUint32(p[96:], 4)
	be.PutUint32(p[100:], overlayHeader)
	p = be.AppendUint32(p, extFormat)
	p = be.AppendUint32(p, uint32(len("raw")))
	p = append(p, "raw\x00\x00\x00\x00\x00"...)
	p = append(p, make([]byte, 8)...) // the end of the extensions
	be.PutUint64(p[8:], uint64(len(p)))
	be.PutUint32(p[16:], uint32(len(base)))
	return append(p, base...)
}

// overlayRefs are the refcounts of the clusters that the file begins with.
func overlayRefs() []byte {
	p := make([]byte, 0, 2*overlayLength/overlayCluster)
	for range overlayLength / overlayCluster {
		p = binary.BigEndian.AppendUint16(p, 1)
	}
	return p
}

// writeOverlay makes a file an empty overlay over a base, whose name is as seen
// from the file.
func writeOverlay(dev *blockio.Device, size int64, base string) error {
	if err := dev.Truncate(overlayLength); err != nil {
		return err
	}
	for _, part := range []struct {
		off int64
		p   []byte
	}{
		{0, overlayHead(size, base)},
		{overlayTableAt, binary.BigEndian.AppendUint64(nil, overlayRefsAt)},
		{overlayRefsAt, overlayRefs()},
	} {
		if _, err := dev.WriteAt(part.p, part.off); err != nil {
			return err
		}
	}
	return dev.Sync()
}

func (d *Directory) makeOverlay(ctx context.Context, r Request, b *Backing) error {
	golden, err := d.useBase(ctx, r.Manifest, r.Background)
	if err != nil {
		return err
	}
	b.Format, b.Held = "qcow2", overlayCluster
	if err := d.fillOverlay(ctx, b, golden); err != nil {
		return errors.Join(err, d.leaveBase(golden))
	}
	return nil // the overlay stays a user of the base
}

func (d *Directory) fillOverlay(ctx context.Context, b *Backing, golden *base) (err error) {
	src, err := blockio.OpenDevice(d.path(basesDir, golden.name()), blockio.DeviceOptions{Direct: blockio.DirectOff, NoFollow: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	if err := d.fit(b, src.Size()); err != nil {
		return err
	}
	if b.Size > MaxSize {
		return fmt.Errorf("size %d: at most %d: %w", b.Size, int64(MaxSize), ErrMethod)
	}
	return d.make(ctx, disksDir, fileName(b), func(dev *blockio.Device) error {
		return writeOverlay(dev, b.Size, "../"+basesDir+"/"+golden.name())
	})
}

// growOverlay gives an overlay a new virtual size.
func growOverlay(dev *blockio.Device, size int64) error {
	if size > MaxSize {
		return fmt.Errorf("size %d: at most %d: %w", size, int64(MaxSize), ErrMethod)
	}
	if _, err := dev.WriteAt(binary.BigEndian.AppendUint64(nil, uint64(size)), overlaySizeAt); err != nil {
		return err
	}
	return dev.Sync()
}
