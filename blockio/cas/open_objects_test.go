package cas_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
)

// slowVolume holds up the opening of one segment until the gate is open.
type slowVolume struct {
	blockio.Volume
	mu   sync.Mutex
	slow string
	gate chan struct{}
}

func (v *slowVolume) Open(ctx context.Context, name string) (blockio.Object, error) {
	v.mu.Lock()
	slow := name == v.slow
	v.mu.Unlock()
	if slow {
		<-v.gate
	}
	return v.Volume.Open(ctx, name)
}

// TestSlowSegment reads one image while a segment of another is being opened.
func TestSlowSegment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &slowVolume{Volume: blockiotest.NewMemVolume(), gate: make(chan struct{})}
		opts := testOptions(v, "")
		opts.CacheMemory = -1
		s := newStore(t, opts)
		a, b := guest(1<<20, 1), guest(1<<20, 2)
		ia := mustPut(t, s, "a", a)
		segments := map[string]bool{}
		for e := range v.List(t.Context(), "segments") {
			segments[e.Name] = true
		}
		ib := mustPut(t, s, "b", b)
		for e := range v.List(t.Context(), "segments") {
			if !segments[e.Name] {
				v.mu.Lock()
				v.slow = e.Name
				v.mu.Unlock()
			}
		}
		if !strings.HasPrefix(v.slow, "segments/") {
			t.Fatal("the images share their segments")
		}
		var waiting sync.WaitGroup
		for range 3 {
			waiting.Go(func() { wantImage(t, s, ib.ID, b) })
		}
		synctest.Wait()
		wantImage(t, s, ia.ID, a)
		close(v.gate)
		waiting.Wait()
	})
}
