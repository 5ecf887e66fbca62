package blockio

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// ErrTooLarge says that an object is larger than its reader allows.
var ErrTooLarge = errors.New("object is too large")

// WriteObject writes and commits a small object.
func WriteObject(ctx context.Context, v Volume, name string, p []byte) error {
	w, err := v.Create(ctx, name)
	if err != nil {
		return err
	}
	if len(p) > 0 {
		_, err = w.WriteAt(p, 0)
	}
	if err == nil {
		err = w.Commit(ctx, int64(len(p)))
	}
	if err != nil {
		return errors.Join(err, w.Abort())
	}
	return nil
}

// ReadObject reads a small object whole; ErrTooLarge beyond limit bytes.
func ReadObject(ctx context.Context, v Volume, name string, limit int64) (p []byte, err error) {
	o, err := v.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	if o.Size() > limit {
		return nil, fmt.Errorf("read %s: %d bytes, at most %d: %w", name, o.Size(), limit, ErrTooLarge)
	}
	p = make([]byte, o.Size())
	if n, err := o.ReadAt(p, 0); n < len(p) {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return p, nil
}
