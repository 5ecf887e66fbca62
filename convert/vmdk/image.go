package vmdk

import (
	"context"
	"fmt"
	"io"
	"sort"

	"github.com/blockmill/blockmill/convert/badimage"
)

// Image is an open image. It is safe for concurrent use.
type Image struct {
	createType string
	cid        uint32
	size       int64
	extents    []extent
	// single says that the image is one file.
	single bool
}

// extent is a run of the guest that one file holds.
type extent struct {
	start, size int64
	guest
}

// guest is what an extent's file can do: a sparse or a flat.
type guest interface {
	readAt(p []byte, off int64) error
	mapRange(ctx context.Context, off, length int64, m *merger) error
	check(ctx context.Context, read <-chan struct{}) error
	info() ExtentInfo
}

// ExtentSource is the file of one extent of a split image, under the name
// that the descriptor has for it.
type ExtentSource struct {
	Name   string
	Source io.ReaderAt
	Size   int64
}

// Open opens an image in one file of size bytes: monolithicSparse or
// streamOptimized. What it refuses is a *badimage.Error.
func Open(src io.ReaderAt, size int64, opts Options) (*Image, error) {
	opts = opts.withDefaults()
	if err := opts.validate(); err != nil {
		return nil, err
	}
	file := source{ReaderAt: src, size: size}
	if err := refuseDescriptorFile(file); err != nil {
		return nil, err
	}
	s, err := openSparse(file, newTableCache(), opts)
	if err != nil {
		return nil, err
	}
	if s.h.descriptorSize == 0 {
		return nil, badimage.Unsupported(format, "descriptorSize", 36, "0", "an embedded descriptor; this may be an extent of a split image")
	}
	at := int64(s.h.descriptorOffset) * sectorSize
	text := make([]byte, s.h.descriptorSize*sectorSize)
	if err := file.readFull(text, at); err != nil {
		return nil, err
	}
	d, err := parseDescriptor(text, at)
	if err != nil {
		return nil, err
	}
	if err := s.adopt(d); err != nil {
		return nil, err
	}
	return &Image{
		createType: d.createType, cid: d.cid, size: s.size, single: true,
		extents: []extent{{size: s.size, guest: s}},
	}, nil
}

// refuseDescriptorFile says what to do when the file is a descriptor alone.
func refuseDescriptorFile(file source) error {
	head := make([]byte, min(file.size, int64(len(descriptorID))))
	if err := file.readFull(head, 0); err != nil {
		return err
	}
	if string(head) != descriptorID {
		return nil
	}
	return badimage.Unsupported(format, "descriptor file", 0, badimage.Quote(head), "an image in one file, or its extents handed over with it")
}

// adopt checks that the embedded descriptor speaks of this file.
func (s *sparse) adopt(d *descriptor) error {
	want := typeSparse
	if s.h.compressed() {
		want = typeStream
	}
	if d.createType != want && (s.h.compressed() || d.createType != typeStream) {
		return badimage.Unsupported(format, "createType", int64(s.h.descriptorOffset)*sectorSize, badimage.Quote(d.createType), badimage.Quote(want))
	}
	if len(d.extents) != 1 {
		return badimage.Corrupt(format, "embedded descriptor", d.extents[1].at, badimage.Int(len(d.extents))+" extents", "1")
	}
	if kind := d.extents[0].kind; kind != "SPARSE" {
		return badimage.Unsupported(format, "extent type", d.extents[0].at, kind+" extent "+badimage.Quote(d.extents[0].name), "SPARSE, this file")
	}
	return s.limit(d.extents[0])
}

// limit takes the guest's size from the extent's line. The header's capacity
// must be that, or that rounded up to a grain, which VirtualBox does.
func (s *sparse) limit(line extentLine) error {
	rounded := line.sectors + (s.h.grainSize-line.sectors%s.h.grainSize)%s.h.grainSize
	if s.h.capacity != line.sectors && s.h.capacity != rounded {
		return badimage.Corrupt(format, "extent size", line.at, badimage.Int(line.sectors), badimage.Int(s.h.capacity)+" as in the header")
	}
	s.size = int64(line.sectors) * sectorSize
	return nil
}

// Size is the virtual size in bytes.
func (img *Image) Size() int64 { return img.size }

// ReadAt reads guest bytes. It reads plain grains that follow one another at
// once, straight into p, and so compressed ones, through a buffer.
func (img *Image) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read vmdk image: offset %d: below 0", off)
	}
	if off >= img.size {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), img.size-off))
	for done := 0; done < n; {
		e := img.extentAt(off)
		size := int(min(int64(n-done), e.start+e.size-off))
		if err := e.readAt(p[done:done+size], off-e.start); err != nil {
			return done, err
		}
		done += size
		off += int64(size)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// extentAt finds the extent that holds the guest offset off.
func (img *Image) extentAt(off int64) *extent {
	i := sort.Search(len(img.extents), func(i int) bool { return img.extents[i].start > off })
	return &img.extents[i-1]
}
