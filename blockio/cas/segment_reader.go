package cas

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// readFull reads all of p. Missing bytes are corruption of the object.
func readFull(r io.ReaderAt, object string, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return corrupt(object, off, "%d bytes, expected %d", n, len(p))
	}
	return fmt.Errorf("read %s at %d: %w", object, off, err)
}

// loadDirectory reads a segment's directory from the volume.
func (s *Store) loadDirectory(ctx context.Context, id SegmentID) (dir *directory, err error) {
	obj, err := s.objects.get(ctx, id)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.objects.put(obj)) }()
	_, entries, err := readDirectory(obj, s.header.id, id, obj.Size())
	if err != nil {
		return nil, err
	}
	return newDirectory(id, entries), nil
}

// readDirectory reads and checks the header, the footer and the directory of a
// segment of size bytes.
func readDirectory(r io.ReaderAt, store StoreID, id SegmentID, size int64) (segmentFooter, []entry, error) {
	object := id.object()
	if size < segmentHeaderSize+segmentFooterSize || size > maxSegment || size%objectAlign != 0 {
		return segmentFooter{}, nil, corrupt(object, 0, "length %d of a segment", size)
	}
	var head [segmentHeaderSize]byte
	if err := readFull(r, object, head[:], 0); err != nil {
		return segmentFooter{}, nil, err
	}
	if err := parseSegmentHeader(head[:], store, id); err != nil {
		return segmentFooter{}, nil, err
	}
	var foot [segmentFooterSize]byte
	if err := readFull(r, object, foot[:], size-segmentFooterSize); err != nil {
		return segmentFooter{}, nil, err
	}
	f, err := parseSegmentFooter(foot[:], store, id, size)
	if err != nil {
		return f, nil, err
	}
	p := make([]byte, int64(f.count)*entrySize)
	if err := readFull(r, object, p, f.dirOff); err != nil {
		return f, nil, err
	}
	entries, err := parseDirectory(p, f)
	return f, entries, err
}
