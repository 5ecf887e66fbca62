package vmdk

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Target is where a Writer writes. A *blockio.Device is one.
type Target interface {
	io.WriterAt
	Truncate(size int64) error
	Sync() error
}

// WriterOptions say how to write; the zero value works.
type WriterOptions struct {
	// Name is what the descriptor calls the file; "disk.vmdk" when empty.
	Name string
	// Level is the compression level of zlib, 1 to 9; 6 when zero.
	Level int
}

func (o WriterOptions) withDefaults() WriterOptions {
	if o.Name == "" {
		o.Name = "disk.vmdk"
	}
	if o.Level == 0 {
		o.Level = 6
	}
	return o
}

const (
	// writeGrain is the grain that all writers of streams use, in bytes.
	writeGrain = 64 << 10
	// writeOverhead is where the first grain stands, in sectors.
	writeOverhead = 128
	// writeVersion is the version that has compressed grains.
	writeVersion = 3
	// maxName bounds the name in the descriptor in bytes.
	maxName = 512
)

// Writer writes a streamOptimized image. WriteAt may be called concurrently;
// Finish once, after all of it. Grains that are never written, or are zeros,
// take no room.
type Writer struct {
	size   int64
	opts   WriterOptions
	dst    Target
	grains *compressor
	stream *stream
}

// Create begins an image of size bytes. What dst held is dropped. It is no
// image before Finish: the header is written last.
func Create(dst Target, size int64, opts WriterOptions) (*Writer, error) {
	opts = opts.withDefaults()
	switch {
	case size <= 0 || size%sectorSize != 0:
		return nil, fmt.Errorf("create vmdk: size %d: not a positive multiple of %d", size, sectorSize)
	case size > 64<<40:
		return nil, fmt.Errorf("create vmdk: size %d: above 64 TiB", size)
	case opts.Level < 1 || opts.Level > 9:
		return nil, fmt.Errorf("create vmdk: compression level %d: not 1 to 9", opts.Level)
	case len(opts.Name) > maxName || !isPlainName(opts.Name):
		return nil, fmt.Errorf("create vmdk: name %q: not a plain file name", opts.Name)
	}
	if err := dst.Truncate(0); err != nil {
		return nil, fmt.Errorf("create vmdk: %w", err)
	}
	h := writeHeader(size)
	return &Writer{
		size: size, opts: opts, dst: dst,
		grains: newCompressor(opts.Level),
		stream: newStream(dst, h.tables()),
	}, nil
}

// isPlainName tells whether a name can stand in a descriptor's quotes, and
// names no other directory.
func isPlainName(name string) bool {
	for _, r := range name {
		if r < ' ' || r == '"' || r == '/' || r == '\\' || r == 0x7f {
			return false
		}
	}
	return true
}

// writeHeader is the header of an image of size bytes.
func writeHeader(size int64) header {
	return header{
		version: writeVersion, flags: flagNewline | flagCompressed | flagMarkers,
		capacity: uint64(size / sectorSize), grainSize: writeGrain / sectorSize,
		descriptorOffset: 1, descriptorSize: 20, numGTEsPerGT: entriesPerTable,
		gdOffset: gdAtEnd, overHead: writeOverhead,
		newline: [4]byte([]byte(newlineTest)), compress: compressDeflate,
	}
}

// WriteAt writes guest bytes: whole grains, or up to the end of the image. The
// caller compresses them. They reach the target in the order of the guest as
// long as callers do not stray too far from it, see stream.
func (w *Writer) WriteAt(p []byte, off int64) (int, error) {
	end := off + int64(len(p))
	if off < 0 || int64(len(p)) > w.size-off || off%writeGrain != 0 || (end%writeGrain != 0 && end != w.size) {
		return 0, fmt.Errorf("write vmdk: %d bytes at %d: not whole grains of the image", len(p), off)
	}
	ticket := w.stream.enter(off)
	piece, err := w.grains.compress(p, off)
	if err != nil {
		return 0, fmt.Errorf("write vmdk: %w", errors.Join(err, w.stream.leave(ticket, nil)))
	}
	if err := w.stream.leave(ticket, piece); err != nil {
		return 0, fmt.Errorf("write vmdk: %w", err)
	}
	return len(p), nil
}

// Finish writes the tables, the footer and, when all that is durable, the
// header.
func (w *Writer) Finish(ctx context.Context) error {
	if err := w.finish(ctx); err != nil {
		return fmt.Errorf("finish vmdk: %w", err)
	}
	return nil
}

func (w *Writer) finish(ctx context.Context) error {
	directory, err := w.stream.finishTables()
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	h := writeHeader(w.size)
	footer := h
	footer.gdOffset = directory
	tail := make([]byte, footerSectors*sectorSize)
	marker{val: 1, kind: markerFooter}.encode(tail)
	footer.encode(tail[sectorSize:])
	if err := w.stream.append(tail); err != nil {
		return err
	}
	size, err := w.stream.flush()
	if err != nil {
		return err
	}
	if err := w.dst.Truncate(size); err != nil {
		return err
	}
	if err := w.dst.Sync(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	head := make([]byte, writeOverhead*sectorSize)
	h.encode(head)
	copy(head[sectorSize:], w.descriptor(w.stream.sum))
	if _, err := w.dst.WriteAt(head, 0); err != nil {
		return err
	}
	return w.dst.Sync()
}

// descriptor is the text at the front. The content identifier is taken from
// the content, so that one content makes one file.
func (w *Writer) descriptor(cid uint32) string {
	const heads, sectors = 255, 63
	// The last two values mean something else.
	if cid >= noParent-1 {
		cid = 0
	}
	capacity := w.size / sectorSize
	cylinders := min((capacity+heads*sectors-1)/(heads*sectors), 65535)
	return descriptorID + fmt.Sprintf(`
version=1
CID=%s
parentCID=ffffffff
createType="streamOptimized"

# Extent description
RW %d SPARSE "%s"

# The Disk Data Base
#DDB

ddb.virtualHWVersion = "4"
ddb.geometry.cylinders = "%d"
ddb.geometry.heads = "%d"
ddb.geometry.sectors = "%d"
ddb.adapterType = "lsilogic"
ddb.toolsVersion = "2147483647"
`, hex8(cid), capacity, w.opts.Name, cylinders, heads, sectors)
}
