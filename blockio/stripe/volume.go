package stripe

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/klauspost/reedsolomon"

	"github.com/blockmill/blockmill/blockio"
)

// Volume is a blockio.Volume whose objects are striped over shards.
type Volume struct {
	// Immutable.
	geo     geometry
	set     SetID
	opts    Options
	enc     reedsolomon.Encoder // nil without parity
	members []*member
	scratch *scratch
	rows    *rowCache
	arena   *blockio.Arena
	log     *slog.Logger
	zeros   []byte // a unit of the tail row that has no data

	names  nameTable
	queue  repairQueue
	losses losses
	stats  counters

	membership membership
	closed     atomic.Bool
	closing    sync.Once
}

var (
	_ blockio.Volume     = (*Volume)(nil)
	_ blockio.LossTeller = (*Volume)(nil)
)

// Close ends the use of the volume; the shards stay open, they are the
// caller's. Writers and objects must have been closed before. A volume that was
// not closed has lost nothing.
func (v *Volume) Close(ctx context.Context) error {
	err := ErrClosed
	v.closing.Do(func() {
		err = nil
		v.closed.Store(true)
		if recordErr := v.recordClose(ctx); recordErr != nil {
			v.log.Warn("members are not on record", "reason", recordErr)
		}
		v.rows.close()
		v.scratch.close()
	})
	return err
}

// Geometry is the number of data and of parity shards.
func (v *Volume) Geometry() (k, m int) { return v.geo.k, v.geo.m }

// suspect queues an object for Heal.
func (v *Volume) suspect(name string, m *member, why error) {
	if v.queue.add(name) {
		v.log.Warn("object needs healing", "object", name, "shard", m.index, "label", m.label, "reason", why)
	}
}

// reserved says whether the stripe keeps a name for itself.
func reserved(name string) bool { return name == identityName }
