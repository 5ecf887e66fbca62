package nbd_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/nbd"
)

func TestConnectionLimit(t *testing.T) {
	s, dial := start(t, exportOf(newMemory(1<<20), false), nbd.Options{MaxConnections: 2}, nbd.Security{})
	a, b := dial().enter("disk", true), dial().enter("disk", true)
	if _, err := dial().Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("a third connection: %v", err)
	}
	if n := s.Connections(); n != 2 {
		t.Errorf("%d connections", n)
	}
	a.Close()
	for s.Connections() > 1 {
		b.do(0, cmdRead, 0, 1, nil)
	}
	dial().enter("disk", true).do(0, cmdRead, 0, 1, nil)
}

func TestClientsThatStall(t *testing.T) {
	opts := nbd.Options{HandshakeTime: time.Minute, StallTime: time.Minute}
	for what, stall := range map[string]func(c *client){
		"before a word":                func(*client) {},
		"in the middle of an option":   func(c *client) { c.greet(); c.write([]byte("IHAVE")) },
		"after option upon option":     func(c *client) { c.greet(); c.ask(optList, nil) },
		"before its greeting is read":  func(*client) {},
		"in the middle of a request":   func(c *client) { c.enter("disk", true).write(be(uint32(0x25609513))) },
		"in the middle of its payload": func(c *client) { c.enter("disk", true).send(0, cmdWrite, 0, 100<<10, []byte("abc")) },
		"before its replies": func(c *client) {
			c.enter("disk", true)
			c.send(0, cmdRead, 0, 1<<20, nil)
		},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMemory(1 << 20)
				m.WriteAt(bytes.Repeat([]byte{1}, 1<<20), 0)
				s, dial := start(t, exportOf(m, false), opts, nbd.Security{})
				c := dial()
				stall(c)
				synctest.Wait()
				if s.Connections() != 1 {
					t.Fatal("disconnected at once")
				}
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				if s.Connections() != 0 {
					t.Error("still connected")
				}
			})
		})
	}
}

// TestMemoryIsWaitedForOutsideTheDevice has all memory taken while a client asks to
// read ahead: who waits for memory keeps no place of those that need none.
func TestMemoryIsWaitedForOutsideTheDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		arena := blockio.NewArena(1 << 20)
		_, dial := start(t, exportOf(newMemory(1<<20), false), nbd.Options{Arena: arena, Workers: 1}, nbd.Security{})
		c := dial().enter("disk", true)
		c.do(0, cmdFlush, 0, 0, nil)
		var taken []*blockio.Buffer
		for b := arena.TryGet(4 << 10); b != nil; b = arena.TryGet(4 << 10) {
			taken = append(taken, b)
		}
		ahead := c.send(0, cmdCache, 0, 64<<10, nil)
		synctest.Wait()
		c.must(c.SetReadDeadline(time.Now().Add(time.Hour)))
		if a := c.do(0, cmdFlush, 0, 0, nil); a.errno != 0 {
			t.Errorf("flush: error %d", a.errno)
		}
		for _, b := range taken {
			b.Release()
		}
		if cookie, a := c.receive(cmdCache, 0, 0); cookie != ahead || a.errno != 0 {
			t.Errorf("reply to %d, error %d", cookie, a.errno)
		}
	})
}

func TestSlowIsNoStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(4 << 20)
		m.WriteAt(bytes.Repeat([]byte{1}, 4<<20), 0)
		_, dial := start(t, exportOf(m, false), nbd.Options{StallTime: time.Minute}, nbd.Security{})
		c := dial().enter("disk", true)
		c.send(dontFragment, cmdRead, 0, 4<<20, nil)
		for range 16 {
			time.Sleep(11 * time.Second)
			c.read(4 << 20 / 16)
		}
		c.read(28)
		if a := c.do(0, cmdRead, 0, 1, nil); a.errno != 0 {
			t.Errorf("error %d", a.errno)
		}
	})
}

func TestIdleIsNoStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, dial := start(t, exportOf(newMemory(1<<20), false), nbd.Options{}, nbd.Security{})
		c := dial().enter("disk", true)
		time.Sleep(24 * time.Hour)
		if a := c.do(0, cmdRead, 0, 1, nil); a.errno != 0 {
			t.Errorf("error %d", a.errno)
		}
	})
}

func TestShutdownAnswersWhatWasAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(1 << 20)
		m.gate = make(chan struct{})
		s, dial := start(t, exportOf(m, false), nbd.Options{}, nbd.Security{})
		c := dial().enter("disk", true)
		want := c.send(0, cmdWrite, 0, 3, []byte("abc"))
		synctest.Wait()
		down := make(chan error, 1)
		go func() { down <- s.Shutdown(context.Background()) }()
		synctest.Wait()
		close(m.gate)
		if cookie, a := c.receive(cmdWrite, 0, 0); cookie != want || a.errno != 0 {
			t.Errorf("reply to %d, error %d", cookie, a.errno)
		}
		if err := c.ended(); err != nil {
			t.Error(err)
		}
		if err := <-down; err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
}

func TestShutdownCutsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(1 << 20)
		m.WriteAt(bytes.Repeat([]byte{1}, 1<<20), 0)
		s, dial := start(t, exportOf(m, false), nbd.Options{}, nbd.Security{})
		dial().enter("disk", true).send(0, cmdRead, 0, 1<<20, nil) // and nobody reads the reply
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown: %v", err)
		}
	})
}

// TestMemory has clients ask for more than there is memory for. All of it comes
// from the arena and goes back.
func TestMemory(t *testing.T) {
	arena := blockio.NewArena(4 << 20)
	m := newMemory(2 << 20)
	m.WriteAt(bytes.Repeat([]byte{1}, 2<<20), 0)
	s, dial := start(t, exportOf(m, false), nbd.Options{Arena: arena, MaxConnections: 4}, nbd.Security{})
	done := make(chan struct{})
	for range 4 {
		c := dial().enter("disk", true)
		go func() {
			defer func() { done <- struct{}{} }()
			for i := range 50 {
				if _, err := c.Write(be(uint32(0x25609513), uint16(dontFragment), uint16(cmdRead), uint64(i), uint64(0), uint32(1<<20))); err != nil {
					t.Error(err)
				}
			}
		}()
		go func() {
			defer func() { done <- struct{}{} }()
			if _, err := io.CopyN(io.Discard, c, 50*(28+1<<20)); err != nil {
				t.Error(err)
			}
		}()
	}
	for range 8 {
		<-done
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if n := arena.InUse(); n != 0 {
		t.Errorf("%d bytes of the arena are still out", n)
	}
}

func TestBeginWrite(t *testing.T) {
	var asked int
	var answer error
	exports := exportOf(newMemory(1<<20), false)
	exports[0].BeginWrite = func(context.Context) error { asked++; return answer }
	_, dial := start(t, exports, nbd.Options{}, nbd.Security{})
	c := dial().enter("disk", true)
	if c.do(0, cmdRead, 0, 1, nil); asked != 0 {
		t.Error("asked before a read")
	}
	answer = nbd.ErrBusy
	for _, cmd := range []int{cmdTrim, cmdZeroes} {
		if a := c.do(0, cmd, 0, 1, nil); a.errno != ePerm {
			t.Errorf("command %d while others write: error %d", cmd, a.errno)
		}
	}
	answer = nil
	c.do(0, cmdWrite, 0, 1, []byte("a"))
	if a := c.do(0, cmdWrite, 0, 1, []byte("a")); a.errno != 0 || asked != 3 {
		t.Errorf("error %d, asked %d times", a.errno, asked)
	}
}
