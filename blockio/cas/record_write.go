package cas

import (
	"context"
	"errors"

	"github.com/blockmill/blockmill/blockio"
)

// batchFits says whether a batch takes one more record.
func batchFits(have []encodedRecord, r encodedRecord) bool {
	size := len(r.p)
	for _, h := range have {
		size += len(h.p)
	}
	return len(have) < maxBatch && size <= maxBatchBytes
}

// written is what became of a round of puts.
type written struct {
	batch *recordBatch // nil for one record in an object of its own
	there bool         // which may be so in spite of an error
}

// write makes a version of a record durable: at once when nothing else is being
// written, else together with all others that come meanwhile.
func (t *recordTable) write(ctx context.Context, e encodedRecord) (written, error) {
	if ctx.Err() != nil {
		return written{}, context.Cause(ctx)
	}
	return t.puts.do(e, func(all []encodedRecord) (written, error) {
		return t.writeRound(context.WithoutCancel(ctx), all)
	})
}

func (t *recordTable) writeRound(ctx context.Context, all []encodedRecord) (written, error) {
	if len(all) == 1 {
		there, err := t.writeObject(ctx, all[0].name.object(), all[0].p)
		return written{there: there}, err
	}
	p, o := encodeBatch(t.store, t.serials.next(), 0, all)
	there, err := t.writeObject(ctx, o.serial.object(), p)
	return written{newRecordBatch(t, o), there}, err
}

// writeObject writes an object, and says whether it is there: the commit may have
// failed after the object became visible.
func (t *recordTable) writeObject(ctx context.Context, name string, p []byte) (there bool, err error) {
	if err := blockio.WriteObject(ctx, t.volume, name, p); err != nil {
		there, lookErr := t.visible(ctx, name)
		return there, errors.Join(err, lookErr)
	}
	return true, nil
}

// visible says whether an object is there.
func (t *recordTable) visible(ctx context.Context, name string) (bool, error) {
	o, err := t.volume.Open(ctx, name)
	if errors.Is(err, blockio.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, o.Close()
}
