package stripe

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/blockmill/blockmill/blockio"
)

// Commit implements blockio.Writer. All shards commit at once; the object is
// visible when k of them have, and acknowledged when the writeQuorum has. When
// fewer have, those are taken back.
func (w *writer) Commit(ctx context.Context, size int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.finished {
		return fmt.Errorf("commit %s: %w", w.name, errFinished)
	}
	w.finished = true
	defer w.state.drop()
	if err := w.commit(ctx, size); err != nil {
		w.writes.Break()
		return errors.Join(fmt.Errorf("commit %s: %w", w.name, err), abortShards(w.shards))
	}
	return w.dropFailed()
}

func (w *writer) commit(ctx context.Context, size int64) error {
	if err := w.writes.Complete(size); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	w.state.Lock()
	defer w.state.Unlock()
	if w.state.taken {
		return blockio.ErrExists
	}
	committed := w.commitShards(ctx, size)
	err := w.enough()
	if err == nil && !w.synced(committed) {
		err = degraded(0, 1, errors.New("none of the shards that took it is in sync"))
	}
	if err == nil {
		w.state.taken = true
		w.reportMissing(committed)
		return nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return errors.Join(err, w.takeBack(ctx, committed))
}

// commitShards commits what is not spoilt, and says which shards have it.
func (w *writer) commitShards(ctx context.Context, size int64) (committed memberSet) {
	lay := w.volume.geo.layout(size)
	var wg sync.WaitGroup
	var mu sync.Mutex
	for i := range w.shards {
		s := &w.shards[i]
		if s.failure() != nil {
			continue
		}
		wg.Go(func() {
			s.mu.Lock()
			t := trailer{
				set: w.volume.set, gen: w.gen, geo: w.volume.geo, size: size,
				index: i, name: w.name, sums: s.sums,
			}
			s.mu.Unlock()
			p := t.encode()
			s.write(p, lay.shardBytes())
			if s.failure() != nil {
				return
			}
			if err := s.w.Commit(ctx, lay.shardBytes()+int64(len(p))); err != nil {
				s.fail(s.member.note(err))
				return
			}
			_ = s.member.note(nil)
			mu.Lock()
			defer mu.Unlock()
			committed.add(i)
		})
	}
	wg.Wait()
	return committed
}

// synced says whether a member in sync has the object.
func (w *writer) synced(committed memberSet) bool {
	inSync := w.volume.membership.snapshot()
	for i := range w.shards {
		if committed.has(i) && inSync.has(i) {
			return true
		}
	}
	return false
}

// reportMissing queues the object when a present shard does not have it.
func (w *writer) reportMissing(committed memberSet) {
	whole := true
	for i := range w.shards {
		if committed.has(i) {
			continue
		}
		whole = false
		if m := w.shards[i].member; m.present() {
			w.volume.suspect(w.name, m, w.shards[i].failure())
		}
	}
	if !whole {
		w.volume.stats.degradedWrites.Add(1)
	}
}

// takeBack removes the object from the shards that have it.
func (w *writer) takeBack(ctx context.Context, committed memberSet) error {
	errs := make([]error, len(w.shards))
	each(w.volume.members, func(m *member) bool { return committed.has(m.index) }, func(m *member) {
		errs[m.index] = m.note(m.vol.Remove(context.WithoutCancel(ctx), w.name))
	})
	return errors.Join(errs...)
}

// dropFailed aborts the shards that the commit went without. What that leaves
// behind are unfinished objects, which volumes drop when they are opened.
func (w *writer) dropFailed() error {
	for i := range w.shards {
		if s := &w.shards[i]; s.w != nil && s.failure() != nil {
			_ = s.w.Abort()
		}
	}
	return nil
}

// Abort implements blockio.Writer.
func (w *writer) Abort() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.finished {
		return nil
	}
	w.finished = true
	defer w.state.drop()
	if err := abortShards(w.shards); err != nil {
		return fmt.Errorf("abort %s: %w", w.name, err)
	}
	return nil
}
