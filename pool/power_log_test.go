package pool_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
)

// powerLog is what a node was told to do, and what of it it has acknowledged.
type powerLog struct {
	mu     sync.Mutex
	lives  map[string]*life // by id
	begun  int
	notify chan struct{} // has room for one
}

func newPowerLog() *powerLog {
	return &powerLog{lives: map[string]*life{}, notify: make(chan struct{}, 1)}
}

// life is that of an image, a snapshot or a disk: what was done to it, one after
// another.
type life struct {
	kind  string
	acts  []act
	acked int // how many of them
}

// act changes what a thing is.
type act func(*lifeState)

// lifeState is a thing at one time. It holds what first is, then zeros, with the
// writes over that.
type lifeState struct {
	exists bool
	size   int64
	first  []byte
	writes []powerWrite
}

type powerWrite struct {
	off   int64
	bytes []byte
}

// fill makes p what the thing holds, and returns as much as that is.
func (s *lifeState) fill(p []byte) []byte {
	p = p[:s.size]
	clear(p[copy(p, s.first):])
	for _, w := range s.writes {
		copy(p[w.off:], w.bytes)
	}
	return p
}

// made is a thing that holds what another does, and as many zeros as make it as
// large as size.
func made(of lifeState, size int64) act {
	of.exists, of.size = true, max(of.size, size)
	return func(s *lifeState) { *s = of }
}

func gone(s *lifeState) { *s = lifeState{} }

func grownTo(size int64) act { return func(s *lifeState) { s.size = size } }

func written(p []byte, off int64) act {
	return func(s *lifeState) { s.writes = append(slices.Clip(s.writes), powerWrite{off, p}) }
}

// after is how the thing is when k acts were done.
func (l *life) after(k int) lifeState {
	var s lifeState
	for _, a := range l.acts[:k] {
		a(&s)
	}
	return s
}

// begin notes an act that is about to be done.
func (g *powerLog) begin(kind, id string, a act) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.lives[id] == nil {
		g.lives[id] = &life{kind: kind}
	}
	g.lives[id].acts = append(g.lives[id].acts, a)
	g.begun++
	select {
	case g.notify <- struct{}{}:
	default:
	}
}

// ack notes that the act of a thing that began last is acknowledged.
func (g *powerLog) ack(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lives[id].acked++
}

// found notes a thing that was there from the start.
func (g *powerLog) found(kind, id string, p []byte) {
	first := bytes.Clone(bytes.TrimRight(p, "\x00"))
	g.begin(kind, id, made(lifeState{first: first}, int64(len(p))))
	g.ack(id)
}

// now is how a thing is, of which nothing is under way.
func (g *powerLog) now(id string) lifeState {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.lives[id]
	return l.after(l.acked)
}

// fate is what may be left of a thing: as it was after the acts from sure up to
// possible.
type fate struct {
	*life
	sure, possible int
}

// freeze calls cut, at some moment of which the power goes, and says what may
// be left then.
func (g *powerLog) freeze(cut func()) map[string]fate {
	g.mu.Lock()
	sure := make(map[string]int)
	for id, l := range g.lives {
		sure[id] = l.acked
	}
	g.mu.Unlock()
	cut()
	g.mu.Lock()
	defer g.mu.Unlock()
	fates := make(map[string]fate)
	for id, l := range g.lives {
		fates[id] = fate{&life{l.kind, l.acts[:len(l.acts):len(l.acts)], 0}, sure[id], len(l.acts)}
	}
	return fates
}

// lost is an error if the thing should be there.
func (f fate) lost() error {
	for k := f.sure; k <= f.possible; k++ {
		if !f.after(k).exists {
			return nil
		}
	}
	return errors.New("was acknowledged and is lost")
}

// check says what is wrong with a thing that holds p: its size and each of its
// sectors must be as they may be. It uses the space.
func (f fate) check(p, space []byte) error {
	const sector = 512
	may := 0
	var wrong []int // the sectors that have not been found right yet
	for i := range (len(p) + sector - 1) / sector {
		wrong = append(wrong, i*sector)
	}
	for k := f.sure; k <= f.possible; k++ {
		s := f.after(k)
		if !s.exists || s.size != int64(len(p)) {
			continue
		}
		may++
		want := s.fill(space)
		if bytes.Equal(p, want) {
			return nil
		}
		wrong = slices.DeleteFunc(wrong, func(off int) bool {
			end := min(off+sector, len(p))
			return bytes.Equal(p[off:end], want[off:end])
		})
	}
	switch {
	case may == 0:
		return fmt.Errorf("is there with %d bytes, after %d to %d acts", len(p), f.sure, f.possible)
	case len(wrong) > 0:
		return fmt.Errorf("holds in %d sectors, the first at %d, what it never held; after %d to %d acts", len(wrong), wrong[0], f.sure, f.possible)
	}
	return nil
}

// fatesOf are the fates of the things of a kind.
func fatesOf(all map[string]fate, kind string) map[string]fate {
	of := maps.Clone(all)
	maps.DeleteFunc(of, func(_ string, f fate) bool { return f.kind != kind })
	return of
}

// Images are this large, and disks no larger than that.
const (
	powerImageSize = 3 << 20
	powerDiskSize  = 12 << 20
)

// guestBytes are like those of a guest: some data, some zeros.
func guestBytes(seed uint64) []byte {
	const run = 256 << 10
	p := make([]byte, powerImageSize)
	rng := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)})
	for off := 0; off < len(p); off += 2 * run {
		_, _ = rng.Read(p[off:min(off+run, len(p))])
	}
	return p
}
