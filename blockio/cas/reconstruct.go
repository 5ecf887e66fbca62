package cas

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/blockmill/blockmill/blockio"
)

// readChecked reads all of p from an object and has check look at it. What is
// refused is asked for once more, rebuilt from the volume's redundancy where
// there is any, and checked again: the error of a check that nothing could help
// is that of the first look.
func readChecked(r io.ReaderAt, object string, p []byte, off int64, check func(p []byte) error) error {
	err := readFull(r, object, p, off)
	if err == nil {
		err = check(p)
	} else if !errors.Is(err, ErrCorrupt) {
		return err
	}
	if err == nil {
		return nil
	}
	return recheck(r, p, off, check, err)
}

// recheck is the second look of readChecked, at bytes that were refused with an
// error.
func recheck(r io.ReaderAt, p []byte, off int64, check func(p []byte) error, refused error) error {
	o, ok := r.(blockio.Reconstructor)
	if !ok {
		return refused
	}
	if n, err := o.ReconstructAt(p, off); n < len(p) {
		if err == nil || errors.Is(err, errors.ErrUnsupported) {
			return refused
		}
		if errors.Is(err, blockio.ErrLost) {
			return fmt.Errorf("%w (%w: too little is left to rebuild it)", refused, blockio.ErrLost)
		}
		return fmt.Errorf("%w; rebuild it: %w", refused, err)
	}
	return check(p)
}

// ReconstructAt implements blockio.Reconstructor as far as the volume does.
func (o *openObject) ReconstructAt(p []byte, off int64) (int, error) {
	return blockio.ReconstructAt(o.Object, p, off)
}

// readObject reads a small object whole, as readChecked does.
func readObject(ctx context.Context, v blockio.Volume, name string, limit int64, check func(p []byte) error) (err error) {
	o, err := v.Open(ctx, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	if o.Size() > limit {
		return corrupt(name, 0, "%d bytes, expected at most %d", o.Size(), limit)
	}
	return readChecked(o, name, make([]byte, o.Size()), 0, check)
}

// damaged says whether an error is that bytes are wrong, or gone for good: of one
// object, and no reason to give up the others.
func damaged(err error) bool {
	return errors.Is(err, ErrCorrupt) || errors.Is(err, blockio.ErrLost)
}
