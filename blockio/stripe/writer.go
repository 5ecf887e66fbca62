package stripe

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/blockmill/blockmill/blockio"
)

// Create implements blockio.Volume. Shards that fail are done without as long
// as enough are left; the object is then queued for Heal.
func (v *Volume) Create(ctx context.Context, name string) (blockio.Writer, error) {
	w, err := v.create(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", name, err)
	}
	return w, nil
}

var errReserved = errors.New("the stripe keeps this name for itself")

func (v *Volume) create(ctx context.Context, name string) (*writer, error) {
	if _, err := blockio.CheckName(name); err != nil {
		return nil, err
	}
	if reserved(name) {
		return nil, errReserved
	}
	if err := v.beginChange(ctx); err != nil {
		return nil, err
	}
	gen, err := v.opts.drawID()
	if err != nil {
		return nil, err
	}
	st := v.names.hold(name)
	shards, err := v.createShards(ctx, name, false)
	if errors.Is(err, blockio.ErrExists) {
		if err = v.clearLeftovers(ctx, st); err == nil {
			shards, err = v.createShards(ctx, name, true)
		}
	}
	if err != nil {
		st.drop()
		return nil, err
	}
	return &writer{volume: v, state: st, name: name, gen: gen, shards: shards}, nil
}

// createShards starts the object on all shards that can; enough of them. It is
// blockio.ErrExists when one has the name already, unless it was cleared: then
// that one could not be, and is done without.
func (v *Volume) createShards(ctx context.Context, name string, cleared bool) ([]shardWriter, error) {
	shards := make([]shardWriter, len(v.members))
	for i, m := range v.members {
		shards[i] = shardWriter{member: m, err: m.wrap(errMissing)}
	}
	each(v.members, v.writable, func(m *member) {
		s := &shards[m.index]
		w, err := m.vol.Create(ctx, name)
		if err == nil && blockio.BlockSize%w.Unit() != 0 {
			err = errors.Join(fmt.Errorf("its unit is %d, at most %d", w.Unit(), blockio.BlockSize), w.Abort())
		}
		s.w, s.err = w, m.note(err)
	})
	alive, errs := 0, []error{}
	for i := range shards {
		if shards[i].err == nil {
			alive++
		} else {
			errs = append(errs, shards[i].err)
		}
	}
	err := errors.Join(errs...)
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case errors.Is(err, blockio.ErrExists) && !cleared:
		err = blockio.ErrExists
	case alive < v.geo.writeQuorum():
		err = degraded(alive, v.geo.writeQuorum(), err)
	default:
		return shards, nil
	}
	return nil, errors.Join(err, abortShards(shards))
}

// writable says whether a member may hold objects.
func (v *Volume) writable(m *member) bool {
	v.membership.mu.Lock()
	defer v.membership.mu.Unlock()
	return !m.adopt
}

func degraded(alive, need int, err error) error {
	return fmt.Errorf("%d shards take it, needs %d: %w: %w", alive, need, ErrDegraded, err)
}

// clearLeftovers makes a name free that some shards still have, of a write that
// was cut short or of an object that was removed. It is blockio.ErrExists when
// the object is visible.
func (v *Volume) clearLeftovers(ctx context.Context, st *nameState) error {
	st.Lock()
	defer st.Unlock()
	s := v.survey(ctx, st.name)
	err := s.err
	if err == nil {
		err = blockio.ErrExists
	}
	if closeErr := s.close(nil); closeErr != nil {
		return closeErr
	}
	if !errors.Is(err, blockio.ErrNotFound) {
		return err
	}
	return v.removeAll(ctx, st)
}

// shardWriter writes one shard of an object.
type shardWriter struct {
	member *member
	w      blockio.Writer // nil when the shard could not begin

	mu   sync.Mutex
	err  error    // of the first failure; guarded by mu
	sums []uint64 // of the rows written; guarded by mu
}

// fail spoils the shard; later writes pass it by.
func (s *shardWriter) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
}

func (s *shardWriter) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// sum remembers the checksum of a row.
func (s *shardWriter) sum(row int64, sum uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for int64(len(s.sums)) <= row {
		s.sums = append(s.sums, 0)
	}
	s.sums[row] = sum
}

func abortShards(shards []shardWriter) error {
	errs := make([]error, len(shards))
	var wg sync.WaitGroup
	for i := range shards {
		if s := &shards[i]; s.w != nil {
			wg.Go(func() { errs[i] = s.member.wrap(s.w.Abort()) })
		}
	}
	wg.Wait()
	return errors.Join(errs...)
}
