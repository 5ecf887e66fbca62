package stripe

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/blockmill/blockmill/blockio"
)

// shardVolume is what a stripe needs of the volume of a shard.
type shardVolume interface {
	blockio.Volume
	blockio.Replacer
	blockio.KindLister
}

// member is one position of the stripe and the volume that fills it.
type member struct {
	// Immutable.
	index int
	label string
	vol   shardVolume // nil when missing
	log   *slog.Logger

	// What Open found; guarded by Volume.membership.
	adopt      bool // empty, without an identity
	rebuilding bool // may lack objects

	missed atomic.Int64 // removals

	mu       sync.Mutex
	failure  error // of the last call, nil when it went well
	failures int64
}

func (m *member) present() bool { return m.vol != nil }

// errMissing says that a position has no volume.
var errMissing = errors.New("the shard is missing")

// wrap names the member in an error.
func (m *member) wrap(err error) error {
	if err == nil {
		return nil
	}
	return &ShardError{Index: m.index, Label: m.label, Err: err}
}

// note remembers how a call to the volume went, and returns its error with the
// member's name. Answers that are no failures of the shard leave no trace.
func (m *member) note(err error) error {
	for _, fine := range []error{
		blockio.ErrNotFound, blockio.ErrExists, blockio.ErrName, context.Canceled, context.DeadlineExceeded,
	} {
		if errors.Is(err, fine) {
			return m.wrap(err)
		}
	}
	m.mu.Lock()
	before := m.failure
	m.failure = err
	if err != nil {
		m.failures++
	}
	m.mu.Unlock()
	switch {
	case err != nil && before == nil:
		m.log.Warn("shard fails", "shard", m.index, "label", m.label, "reason", err)
	case err == nil && before != nil:
		m.log.Info("shard works again", "shard", m.index, "label", m.label)
	}
	return m.wrap(err)
}

// lastFailure says how many calls failed, and the failure of the last call.
func (m *member) lastFailure() (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.failures, m.failure
}

// each calls f for the present members that want says, all at once, and waits.
func each(members []*member, want func(*member) bool, f func(*member)) {
	var wg sync.WaitGroup
	for _, m := range members {
		if m.present() && (want == nil || want(m)) {
			wg.Go(func() { f(m) })
		}
	}
	wg.Wait()
}
