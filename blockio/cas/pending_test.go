package cas

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

// TestPending walks a chunk through its claims.
func TestPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, id := newPending(), chunkID{1}
		if !p.claim(id, nil) || p.claim(id, nil) {
			t.Fatal("a chunk is claimed once")
		}
		ctx, cancel := context.WithCancel(t.Context())
		waits := make(chan error)
		go func() { waits <- p.wait(ctx, id) }()
		synctest.Wait()
		cancel()
		if err := <-waits; !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled wait: %v", err)
		}
		for range 2 {
			go func() { waits <- p.wait(t.Context(), id) }()
		}
		synctest.Wait()
		select {
		case <-waits:
			t.Fatal("a wait ended before its claim")
		default:
		}
		first, second := &segmentState{}, &segmentState{}
		p.settle(id, first)
		for range 2 {
			if err := <-waits; err != nil {
				t.Error(err)
			}
		}
		if st, ok := p.get(id); !ok || st != first {
			t.Error("a settled chunk is in no segment")
		}
		if p.claim(id, nil) || p.claim(id, second) || !p.claim(id, first) {
			t.Error("a stored chunk is claimed when its segment is gone, and only then")
		}
		if p.claim(id, first) {
			t.Error("claimed again in spite of the claim")
		}
		p.settle(id, nil)
		if _, ok := p.get(id); ok {
			t.Error("a chunk that was given up is pending")
		}
		p.settle(id, second)
		p.forget(first, []entry{{id: id}})
		if _, ok := p.get(id); !ok {
			t.Error("forgotten with another segment")
		}
		p.forget(second, []entry{{id: id}})
		if _, ok := p.get(id); ok {
			t.Error("not forgotten")
		}
	})
}
