package stripe

import (
	"context"

	"github.com/blockmill/blockmill/blockio"
)

// scratch gives out memory for parity and for rebuilding. Callers may hold
// buffers of the arena, so it never waits for the arena: when the arena has
// nothing to spare, they share one reserved row, in turn. Whoever holds it
// waits for shards only, so it always comes back.
type scratch struct {
	arena   *blockio.Arena
	reserve *blockio.Buffer
	turn    chan struct{} // holds a token when the reserve is free
}

// The arena maps buffers from hugePage on in huge pages, which direct I/O pins
// much faster: so a large scratch is never smaller.
const (
	largeScratch = 512 << 10
	hugePage     = 2 << 20
)

// newScratch takes the reserve of n bytes.
func newScratch(ctx context.Context, arena *blockio.Arena, n int) (*scratch, error) {
	buf, err := arena.Get(ctx, n)
	if err != nil {
		return nil, err
	}
	s := &scratch{arena: arena, reserve: buf, turn: make(chan struct{}, 1)}
	s.turn <- struct{}{}
	return s, nil
}

// take gives n bytes, at most those of the reserve, until release is called.
// The caller must hold no other scratch.
func (s *scratch) take(n int) (p []byte, release func()) {
	want := n
	if n >= largeScratch {
		want = max(n, hugePage)
	}
	if buf := s.arena.TryGet(want); buf != nil {
		return buf.Bytes()[:n], buf.Release
	}
	<-s.turn
	return s.reserve.Bytes()[:n], func() { s.turn <- struct{}{} }
}

func (s *scratch) close() {
	<-s.turn
	s.reserve.Release()
}
