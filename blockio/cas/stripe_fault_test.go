package cas_test

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/blockio/stripe"
)

// anyCall is every kind of call.
const anyCall = blockiotest.OpChanges | blockiotest.OpOpen | blockiotest.OpRead | blockiotest.OpList

// stripeFaults are the ways in which a call of a shard fails.
var stripeFaults = map[string]blockiotest.Fault{
	"error":               {Ops: anyCall, Err: syscall.EIO},
	"errors from then on": {Ops: anyCall, Err: syscall.EIO, Sticky: true},
	"full":                {Ops: blockiotest.NoSpace(1).Ops, Err: syscall.ENOSPC, Sticky: true},
	"full for a moment":   {Ops: blockiotest.NoSpace(1).Ops, Err: syscall.ENOSPC},
	"short":               {Ops: blockiotest.OpRead | blockiotest.OpWrite, Kind: blockiotest.FaultShort, Err: syscall.EIO},
	"flip when read":      {Ops: blockiotest.OpRead, Kind: blockiotest.FaultFlip},
	"flip when written":   {Ops: blockiotest.OpWrite, Kind: blockiotest.FaultFlip},
}

// TestFaultsOverStripes makes each call of a shard's volume fail, in every way,
// while images are imported, exported and removed, garbage is collected and the
// store scrubbed. The process lives, no wrong byte is read then or later, and what
// was acknowledged is whole when the store is opened again, unless its only copy
// was silently written wrong: then it says so.
func TestFaultsOverStripes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ k, m, shard, skip int }{{2, 1, 0, 29}, {2, 1, 2, 31}, {1, 0, 0, 17}} {
		for name, fault := range stripeFaults {
			t.Run(fmt.Sprintf("%d+%d shard %d %s", c.k, c.m, c.shard, name), func(t *testing.T) {
				t.Parallel()
				skip, failures, runs := every(c.skip), 0, 0
				for n := 1 + len(name)%skip; ; n += skip {
					r := stripeFaultRun{set: newShardSet(t, c.k, c.m), shard: c.shard, fault: fault}
					r.fault.N = n
					r.lossy = c.m == 0 && name == "flip when written"
					failed, reached, err := r.run(t.Context())
					if err != nil {
						t.Errorf("call %d: %v", n, err)
					}
					failures, runs = failures+failed, runs+1
					if !reached || t.Failed() {
						break
					}
				}
				t.Logf("%d runs, %d failed operations", runs, failures)
			})
		}
	}
}

// stripeFaultRun is a workload in which one call of one shard fails.
type stripeFaultRun struct {
	set   *shardSet
	shard int
	fault blockiotest.Fault
	lossy bool // acknowledged images may be damaged, but not silently
}

// run says how many operations failed, and whether the fault was met. The error
// is what must not be.
func (r *stripeFaultRun) run(ctx context.Context) (failed int, reached bool, err error) {
	v, err := r.set.open(ctx)
	if err != nil {
		return 0, false, err
	}
	if err := cas.Init(ctx, stripedOptions(v)); err != nil {
		return 0, false, err
	}
	if err := v.Close(ctx); err != nil {
		return 0, false, err
	}
	sh := r.set.shards[r.shard]
	before := sh.Count(r.fault.Ops)
	sh.Inject(r.fault)
	m := newModel()
	failed, err = r.work(ctx, m)
	if err != nil {
		return failed, false, fmt.Errorf("while it fails: %w", err)
	}
	reached = sh.Count(r.fault.Ops)-before >= r.fault.N
	sh.ClearFaults()
	for i := range r.set.shards {
		if n := r.set.shards[i].OpenFiles(); n != 0 {
			return failed, reached, fmt.Errorf("%d files of shard %d left open", n, i)
		}
		r.set.shards[i] = r.set.shards[i].Reopen()
	}
	return failed, reached, r.after(ctx, m)
}

// work runs every operation, and counts those that fail. The error is that of
// wrong bytes.
func (r *stripeFaultRun) work(ctx context.Context, m *model) (failed int, err error) {
	count := func(err error) {
		if err != nil {
			failed++
		}
	}
	v, err := r.set.open(ctx)
	if err != nil {
		return 1, nil
	}
	defer func() { count(v.Close(ctx)) }()
	s, err := cas.Open(ctx, stripedOptions(v))
	if err != nil {
		return 1, nil
	}
	defer func() { count(s.Close()) }()
	for _, a := range []byte(faultWorkload) {
		count(m.do(ctx, s, act(a), func() {}))
		if a == byte(collect) {
			if err := m.noWrongBytes(ctx, s); err != nil {
				return failed, err
			}
		}
	}
	_, err = v.Scrub(ctx, stripe.ScrubOptions{Repair: true})
	count(err)
	_, err = s.VerifyChunks(ctx, cas.VerifyOptions{})
	count(err)
	_, err = v.Heal(ctx, stripe.HealOptions{})
	count(err)
	return failed, m.noWrongBytes(ctx, s)
}

// noWrongBytes reads all images: errors are allowed, other bytes are not.
func (m *model) noWrongBytes(ctx context.Context, s *cas.Store) error {
	for name, want := range m.acked {
		rec, err := s.Record(ctx, "image", name)
		if err != nil {
			continue
		}
		if got, err := get(ctx, s, rec.Manifests[0]); err == nil && string(got) != string(want) {
			return fmt.Errorf("image %s has other bytes", name)
		}
	}
	return nil
}

// after opens the store again, when all calls go well.
func (r *stripeFaultRun) after(ctx context.Context, m *model) (err error) {
	v, err := r.set.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.Close(ctx)) }()
	if r.lossy {
		s, err := cas.Open(ctx, stripedOptions(v))
		if err != nil {
			if errors.Is(err, cas.ErrCorrupt) || errors.Is(err, blockio.ErrLost) {
				return nil // the flip was in what all else hangs on
			}
			return err
		}
		return errors.Join(m.noWrongBytes(ctx, s), s.Close())
	}
	if _, m := v.Geometry(); m > 0 {
		if _, err := v.Heal(ctx, stripe.HealOptions{}); err != nil {
			return fmt.Errorf("heal: %w", err)
		}
		if report, err := v.Scrub(ctx, stripe.ScrubOptions{Repair: true}); err != nil || !report.Clean() {
			return fmt.Errorf("scrub: %+v, %w", report.Findings, errors.Join(append(report.Errs, err)...))
		}
	}
	return m.verify(ctx, stripedOptions(v))
}
