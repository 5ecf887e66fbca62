package stripe

import (
	"context"
	"errors"

	"github.com/blockmill/blockmill/blockio"
)

// replaceObject writes a small object, over one of its name.
func replaceObject(ctx context.Context, v blockio.Replacer, name string, p []byte) error {
	w, err := v.Replace(ctx, name)
	if err != nil {
		return err
	}
	if _, err = w.WriteAt(p, 0); err == nil {
		err = w.Commit(ctx, int64(len(p)))
	}
	if err != nil {
		return errors.Join(err, w.Abort())
	}
	return nil
}
