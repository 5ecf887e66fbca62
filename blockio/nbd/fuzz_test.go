package nbd_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/nbd"
)

// script is a connection whose client says what it has to say and is gone.
type script struct {
	in io.Reader

	mu     sync.Mutex
	out    bytes.Buffer
	closed chan struct{}
	once   sync.Once
}

func newScript(said []byte) *script {
	return &script{in: bytes.NewReader(said), closed: make(chan struct{})}
}

func (s *script) Read(p []byte) (int, error) { return s.in.Read(p) }

func (s *script) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Write(p)
}

func (s *script) Close() error                     { s.once.Do(func() { close(s.closed) }); return nil }
func (s *script) LocalAddr() net.Addr              { return &net.UnixAddr{} }
func (s *script) RemoteAddr() net.Addr             { return &net.UnixAddr{} }
func (s *script) SetDeadline(time.Time) error      { return nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }

const fuzzSize = 64<<10 + 17

// converse has a server answer what a client said, and returns all of that.
func converse(t *testing.T, said []byte, readOnly bool) []byte {
	m := newMemory(fuzzSize)
	arena := blockio.NewArena(1 << 20)
	server := nbd.New(exportOf(m, readOnly), nbd.Options{Arena: arena, InFlight: 3, Workers: 2})
	l := newPipes()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l, nbd.Security{})
	}()
	s := newScript(said)
	l.conns <- s
	<-s.closed
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	<-done
	if n := arena.InUse(); n != 0 {
		t.Errorf("%d bytes of the arena are still out", n)
	}
	if len(m.data) != fuzzSize {
		t.Error("the device has another size")
	}
	return s.out.Bytes()
}

// FuzzHandshake has clients say anything. The answers are whole and in form.
func FuzzHandshake(f *testing.F) {
	option := func(opt uint32, data []byte) []byte { return be("IHAVEOPT", opt, uint32(len(data)), data) }
	flags := be(uint32(3))
	f.Add(bytes.Join([][]byte{flags, option(optList, nil), option(optAbort, nil)}, nil))
	f.Add(bytes.Join([][]byte{
		flags, option(optStructured, nil), option(optListMeta, be(name("disk"), uint32(0))),
		option(optSetMeta, be(name("disk"), uint32(1), name("base:allocation"))),
		option(optInfo, be(name("disk"), uint16(2), uint16(1), uint16(3))), option(optStartTLS, nil), option(77, []byte("x")),
		option(optGo, be(name("disk"), uint16(0))), request(0, cmdRead, 0, 100, nil),
	}, nil))
	f.Add(bytes.Join([][]byte{be(uint32(1)), option(optExportName, []byte("disk")), request(0, cmdWrite, 0, 3, []byte("abc"))}, nil))
	f.Fuzz(func(t *testing.T, said []byte) {
		out := converse(t, said, true)
		if len(out) < 18 {
			t.Fatalf("greeting %x", out)
		}
		out = out[18:]
		for len(out) >= 20 && binary.BigEndian.Uint64(out) == 0x3e889045565a9 {
			n := int(binary.BigEndian.Uint32(out[16:]))
			if 20+n > len(out) {
				t.Fatalf("a reply of %d bytes, of which there are %d", n, len(out)-20)
			}
			out = out[20+n:]
		}
	})
}

func request(flags, cmd int, off uint64, n uint32, payload []byte) []byte {
	return be(uint32(0x25609513), uint16(flags), uint16(cmd), off^uint64(n)<<32, off, n, payload)
}

// FuzzTransmission has clients send anything once they are in. Every reply is
// whole, and inside what was asked for.
func FuzzTransmission(f *testing.F) {
	for _, structured := range []bool{false, true} {
		f.Add(structured, false, bytes.Join([][]byte{
			request(0, cmdWrite, 5, 3, []byte("abc")), request(fua, cmdZeroes, 4096, 9000, nil), request(0, cmdRead, 0, 20000, nil),
			request(dontFragment, cmdRead, 1, 60000, nil), request(one, cmdStatus, 0, fuzzSize, nil), request(0, cmdStatus, 3, 60000, nil),
			request(0, cmdFlush, 0, 0, nil), request(0, cmdTrim, 100, 9999, nil), request(0, cmdCache, 0, fuzzSize, nil),
			request(0, cmdDisc, 0, 0, nil),
		}, nil))
		f.Add(structured, true, bytes.Join([][]byte{
			request(0, cmdWrite, 5, 3, []byte("abc")), request(0, cmdRead, 1<<63, 1<<31, nil), request(0, 99, 0, 0, nil),
			request(0, cmdWrite, 0, 1<<31, nil),
		}, nil))
	}
	f.Fuzz(func(t *testing.T, structured, readOnly bool, said []byte) {
		enter := be(uint32(3))
		if structured {
			enter = be(enter, "IHAVEOPT", uint32(optStructured), uint32(0),
				"IHAVEOPT", uint32(optSetMeta), uint32(31), name("disk"), uint32(1), name("base:allocation"))
		}
		enter = be(enter, "IHAVEOPT", uint32(optGo), uint32(10), name("disk"), uint16(0))
		before := len(converse(t, enter, readOnly))
		checkReplies(t, converse(t, be(enter, said), readOnly)[before:], structured)
	})
}

// checkReplies walks through the replies. A simple reply may be followed by
// data of a length that only the request tells; there the walk ends.
func checkReplies(t *testing.T, out []byte, structured bool) {
	t.Helper()
	for len(out) > 0 {
		if len(out) < 16 {
			t.Fatalf("%d bytes left over", len(out))
		}
		switch magic := binary.BigEndian.Uint32(out); {
		case magic == 0x67446698 && structured:
			out = out[16:]
		case magic == 0x67446698:
			return
		case magic == 0x668e33ef && structured && len(out) >= 20:
			n := int(binary.BigEndian.Uint32(out[16:]))
			if 20+n > len(out) {
				t.Fatalf("a chunk of %d bytes, of which there are %d", n, len(out)-20)
			}
			kind, p := binary.BigEndian.Uint16(out[6:]), out[20:20+n]
			if kind == 1 && (n < 9 || binary.BigEndian.Uint64(p)+uint64(n-8) > fuzzSize) ||
				kind == 2 && (n != 12 || binary.BigEndian.Uint64(p)+uint64(binary.BigEndian.Uint32(p[8:])) > fuzzSize) {
				t.Fatalf("a chunk of type %d: % x", kind, p[:min(n, 12)])
			}
			out = out[20+n:]
		default:
			t.Fatalf("a reply begins with %x", magic)
		}
	}
}
