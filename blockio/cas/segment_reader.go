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
	err := readChecked(r, object, make([]byte, segmentHeaderSize), 0, func(p []byte) error {
		return parseSegmentHeader(p, store, id)
	})
	if err != nil {
		return segmentFooter{}, nil, err
	}
	var f segmentFooter
	err = readChecked(r, object, make([]byte, segmentFooterSize), size-segmentFooterSize, func(p []byte) (err error) {
		f, err = parseSegmentFooter(p, store, id, size)
		return err
	})
	if err != nil {
		return f, nil, err
	}
	var entries []entry
	err = readChecked(r, object, make([]byte, int64(f.count)*entrySize), f.dirOff, func(p []byte) (err error) {
		entries, err = parseDirectory(p, f)
		return err
	})
	return f, entries, err
}
