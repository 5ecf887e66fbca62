package nbd_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/blockmill/blockmill/blockio/nbd"
)

// The protocol's numbers, written down a second time.
const (
	optExportName, optAbort, optList, optStartTLS = 1, 2, 3, 5
	optInfo, optGo, optStructured                 = 6, 7, 8
	optListMeta, optSetMeta                       = 9, 10

	repAck, repServer, repInfo, repMeta          = 1, 2, 3, 4
	repUnsup, repPolicy, repInvalid              = 0x80000001, 0x80000002, 0x80000003
	repTLSRequired, repUnknown, repTooBig uint32 = 0x80000005, 0x80000006, 0x80000009

	cmdRead, cmdWrite, cmdDisc, cmdFlush      = 0, 1, 2, 3
	cmdTrim, cmdCache, cmdZeroes, cmdStatus   = 4, 5, 6, 7
	fua, noHole, dontFragment, one, fastZero  = 1, 2, 4, 8, 16
	ePerm, eIO, eInval, eNoSpace, eNotSupport = 1, 5, 22, 28, 95
)

// pipes is a listener whose connections are pipes.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func (p *pipes) dial() net.Conn {
	here, there := net.Pipe()
	p.conns <- there
	return here
}

// client speaks the protocol, and fails the test when the server does not.
type client struct {
	t *testing.T
	net.Conn
	structured bool
	size       uint64
	flags      uint16
	cookie     uint64
}

// start serves exports and returns how to connect.
func start(t *testing.T, exports nbd.Exports, opts nbd.Options, sec nbd.Security) (*nbd.Server, func() *client) {
	t.Helper()
	s := nbd.New(exports, opts)
	l := newPipes()
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := s.Serve(l, sec); err != nbd.ErrClosed {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		serving.Wait()
	})
	return s, func() *client {
		c := &client{t: t, Conn: l.dial()}
		t.Cleanup(func() { c.Close() })
		return c
	}
}

func (c *client) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) read(n int) []byte {
	c.t.Helper()
	p := make([]byte, n)
	_, err := io.ReadFull(c, p)
	c.must(err)
	return p
}

func be(parts ...any) []byte {
	var b bytes.Buffer
	for _, p := range parts {
		switch p := p.(type) {
		case []byte:
			b.Write(p)
		case string:
			b.WriteString(p)
		default:
			if err := binary.Write(&b, binary.BigEndian, p); err != nil {
				panic(err)
			}
		}
	}
	return b.Bytes()
}

// greet exchanges the handshake's flags.
func (c *client) greet() {
	c.t.Helper()
	p := c.read(18)
	if string(p[:16]) != "NBDMAGICIHAVEOPT" || p[16] != 0 || p[17] != 3 {
		c.t.Fatalf("greeting %x", p)
	}
	c.write(be(uint32(3)))
}

func (c *client) write(p []byte) {
	c.t.Helper()
	_, err := c.Write(p)
	c.must(err)
}

func (c *client) option(opt uint32, data []byte) {
	c.t.Helper()
	c.write(be("IHAVEOPT", opt, uint32(len(data)), data))
}

// reply reads one reply to an option.
func (c *client) reply(opt uint32) (rep uint32, data []byte) {
	c.t.Helper()
	p := c.read(20)
	if binary.BigEndian.Uint64(p) != 0x3e889045565a9 || binary.BigEndian.Uint32(p[8:]) != opt {
		c.t.Fatalf("reply to option %d begins with %x", opt, p)
	}
	return binary.BigEndian.Uint32(p[12:]), c.read(int(binary.BigEndian.Uint32(p[16:])))
}

// ask sends an option and returns the type of its last reply, and the others.
func (c *client) ask(opt uint32, data []byte) (last uint32, infos [][]byte) {
	c.t.Helper()
	c.option(opt, data)
	for {
		rep, p := c.reply(opt)
		if rep == repAck || rep >= 1<<31 {
			return rep, infos
		}
		infos = append(infos, p)
	}
}

func name(s string) []byte { return be(uint32(len(s)), s) }

// enter goes to the transmission of an export.
func (c *client) enter(export string, structured bool) *client {
	c.t.Helper()
	c.greet()
	if structured {
		if rep, _ := c.ask(optStructured, nil); rep != repAck {
			c.t.Fatalf("structured replies: %#x", rep)
		}
		c.structured = true
		c.ask(optSetMeta, be(name(export), uint32(1), name("base:allocation")))
	}
	rep, infos := c.ask(optGo, be(name(export), uint16(0)))
	if rep != repAck {
		c.t.Fatalf("go to %q: %#x", export, rep)
	}
	c.size, c.flags = binary.BigEndian.Uint64(infos[0][2:]), binary.BigEndian.Uint16(infos[0][10:])
	return c
}

// send sends a request and returns its cookie.
func (c *client) send(flags, cmd int, off uint64, n uint32, payload []byte) uint64 {
	c.t.Helper()
	c.cookie++
	c.write(be(uint32(0x25609513), uint16(flags), uint16(cmd), c.cookie, off, n, payload))
	return c.cookie
}

// answer is what came back for one request.
type answer struct {
	errno  int
	data   []byte
	chunks []uint16 // types
	status []uint32
}

// receive reads a whole reply: to which request, and what. off and n are those
// of a read.
func (c *client) receive(cmd int, off uint64, n uint32) (cookie uint64, a answer) {
	c.t.Helper()
	a.data = bytes.Repeat([]byte{0xee}, int(n))
	for {
		switch magic := binary.BigEndian.Uint32(c.read(4)); {
		case magic == 0x67446698:
			p := c.read(12)
			a.errno = int(binary.BigEndian.Uint32(p))
			if cmd == cmdRead && c.structured {
				c.t.Fatal("a simple reply to a read, with structured ones agreed")
			}
			if cmd == cmdRead && a.errno == 0 {
				a.data = c.read(int(n))
			}
			return binary.BigEndian.Uint64(p[4:]), a
		case magic == 0x668e33ef && c.structured:
			p := c.read(16)
			flags, kind := binary.BigEndian.Uint16(p), binary.BigEndian.Uint16(p[2:])
			cookie = binary.BigEndian.Uint64(p[4:])
			c.chunk(&a, kind, off, c.read(int(binary.BigEndian.Uint32(p[12:]))))
			if flags&1 != 0 {
				return cookie, a
			}
		default:
			c.t.Fatalf("a reply begins with %x", magic)
		}
	}
}

func (c *client) chunk(a *answer, kind uint16, off uint64, p []byte) {
	c.t.Helper()
	a.chunks = append(a.chunks, kind)
	switch kind {
	case 0:
	case 1:
		copy(a.data[binary.BigEndian.Uint64(p)-off:], p[8:])
	case 2:
		at := binary.BigEndian.Uint64(p) - off
		clear(a.data[at : at+uint64(binary.BigEndian.Uint32(p[8:]))])
	case 5:
		for p = p[4:]; len(p) > 0; p = p[4:] {
			a.status = append(a.status, binary.BigEndian.Uint32(p))
		}
	case 0x8001:
		a.errno = int(binary.BigEndian.Uint32(p))
		if int(binary.BigEndian.Uint16(p[4:])) != len(p)-6 {
			c.t.Fatalf("the text of an error has %d bytes: %x", len(p)-6, p)
		}
	default:
		c.t.Fatalf("chunk of type %d", kind)
	}
}

// do sends one request and reads its reply.
func (c *client) do(flags, cmd int, off uint64, n uint32, payload []byte) answer {
	c.t.Helper()
	sent := c.send(flags, cmd, off, n, payload)
	want := uint32(0)
	if cmd == cmdRead {
		want = n
	}
	cookie, a := c.receive(cmd, off, want)
	if cookie != sent {
		c.t.Fatalf("reply to request %d, want %d", cookie, sent)
	}
	return a
}

// ended says whether the server closes the connection, with nothing more said.
func (c *client) ended() error {
	p, err := io.ReadAll(c)
	if err == nil && len(p) > 0 {
		err = fmt.Errorf("%d bytes more", len(p))
	}
	return err
}
