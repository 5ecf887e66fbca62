package cas_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/cas"
)

// every is 1 when BLOCKMILL_EXHAUSTIVE is set, else n: of many cases that are
// much alike, each nth is tried.
func every(n int) int {
	if os.Getenv("BLOCKMILL_EXHAUSTIVE") != "" {
		return 1
	}
	return n
}

// faultWorkload has every operation, and some that build on others.
const faultWorkload = "iddrgig"

// TestFaults makes each call of the volume fail once, in each of several ways.
// The process lives, and what was acknowledged is whole when the store is opened
// again.
func TestFaults(t *testing.T) {
	t.Parallel()
	reads := blockiotest.OpOpen | blockiotest.OpRead | blockiotest.OpList
	for name, fault := range map[string]func(n int) blockiotest.Fault{
		"change fails": func(n int) blockiotest.Fault { return blockiotest.Fault{N: n} },
		"disk full":    blockiotest.NoSpace,
		"short write": func(n int) blockiotest.Fault {
			return blockiotest.Fault{N: n, Ops: blockiotest.OpWrite, Kind: blockiotest.FaultShort}
		},
		"read fails": func(n int) blockiotest.Fault { return blockiotest.Fault{N: n, Ops: reads} },
		"short read": func(n int) blockiotest.Fault {
			return blockiotest.Fault{N: n, Ops: blockiotest.OpRead, Kind: blockiotest.FaultShort}
		},
		"bit flips on read": func(n int) blockiotest.Fault {
			return blockiotest.Fault{N: n, Ops: blockiotest.OpRead, Kind: blockiotest.FaultFlip}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			failures := 0
			for n := 1 + len(name)%every(3); ; n += every(3) {
				failed, reached := faultRun(t, fmt.Sprintf("%s, call %d", name, n), fault(n))
				failures += failed
				if !reached {
					break
				}
			}
			if failures == 0 {
				t.Error("no operation ever failed")
			}
		})
	}
}

// faultRun runs the workload with a fault, and says how many operations failed
// and whether the fault came to pass.
func faultRun(t *testing.T, what string, f blockiotest.Fault) (failed int, reached bool) {
	t.Helper()
	ctx := t.Context()
	v := blockiotest.NewMemVolume()
	opts := crashOptions(v, "")
	if err := cas.Init(ctx, opts); err != nil {
		t.Fatal(err)
	}
	hits, match := 0, f.Match
	f.Match = func(op blockiotest.Op) bool {
		ok := match == nil || match(op)
		if ok {
			hits++
		}
		return ok
	}
	v.Inject(f)
	m := newModel()
	s, err := cas.Open(ctx, opts)
	if err != nil {
		failed++
	} else {
		for _, a := range []byte(faultWorkload) {
			if err := m.do(ctx, s, act(a), func() {}); err != nil {
				failed++
			}
		}
		for name, want := range m.acked {
			r, err := s.Record(ctx, "image", name)
			if err != nil {
				continue
			}
			if got, err := get(ctx, s, r.Manifests[0]); err == nil && string(got) != string(want) {
				t.Errorf("%s: image %s has other bytes", what, name)
			}
		}
		if err := s.Close(); err != nil {
			failed++
		}
	}
	if n := v.OpenFiles(); n != 0 {
		t.Errorf("%s: %d files left open", what, n)
	}
	if err := m.verify(ctx, crashOptions(v.Reopen(), "")); err != nil {
		t.Errorf("%s: %v", what, err)
	}
	return failed, hits >= f.N
}
