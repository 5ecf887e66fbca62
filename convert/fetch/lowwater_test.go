package fetch

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// connPair makes a connection over loopback: what a source has of it, and the
// server's side.
func connPair(t *testing.T) (client *bodyConn, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := newBodyConn(net.Dial("tcp", l.Addr().String()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	client, ok := c.(*bodyConn)
	if !ok {
		t.Fatalf("a connection is a %T", c)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	if err := client.SetReadDeadline(time.Now().Add(time.Minute)); err != nil { // or it would wait for ever
		t.Fatal(err)
	}
	return client, server
}

// readAll reads p whole, and says how many reads that took.
func readAll(t *testing.T, c net.Conn, p []byte) (reads int) {
	t.Helper()
	for n := 0; n < len(p); reads++ {
		m, err := c.Read(p[n:])
		if err != nil {
			t.Fatalf("read after %d of %d bytes: %v", n, len(p), err)
		}
		n += m
	}
	return reads
}

// TestLowWater reads a body that came fast and goes on in small pieces.
func TestLowWater(t *testing.T) {
	const piece, pieces = 4 << 10, 256
	client, server := connPair(t)
	write := func(n int) {
		if _, err := server.Write(make([]byte, n)); err != nil {
			t.Error(err)
		}
	}
	fast := make([]byte, lowWater)
	write(len(fast))
	for start := time.Now(); !client.fast; { // until all of it is there at once
		if time.Since(start) > 10*time.Second {
			t.Fatal("never fast")
		}
		if readAll(t, client, fast); !client.fast {
			write(len(fast))
		}
	}

	go func() {
		for range pieces {
			time.Sleep(time.Millisecond)
			write(piece)
		}
	}()
	if reads := readAll(t, client, make([]byte, piece*pieces)); reads > pieces/4 {
		t.Errorf("%d reads of %d pieces", reads, pieces)
	}

	// What is less than a body's least part comes at once: the next header.
	write(10)
	if n, err := client.Read(make([]byte, 16<<10)); n != 10 || err != nil {
		t.Errorf("a header: %d bytes, %v", n, err)
	}
	// A body that is cut short ends.
	client.fast = true
	write(1000)
	server.Close()
	got := make([]byte, 2*lowWater)
	n, err := io.ReadFull(client, got)
	if n != 1000 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a body cut short: %d bytes, %v", n, err)
	}
}

// TestLowWaterIsNotForSlow has a connection that wakes its reader for everything
// once a read took long.
func TestLowWaterIsNotForSlow(t *testing.T) {
	client, server := connPair(t)
	client.fast = true
	go func() {
		time.Sleep(slowRead + 100*time.Millisecond)
		_, _ = server.Write(make([]byte, lowWater))
		time.Sleep(50 * time.Millisecond)
		_, _ = server.Write([]byte{1})
	}()
	p := make([]byte, 4*lowWater)
	n, err := client.Read(p)
	if n < 1 || err != nil {
		t.Fatalf("%d bytes, %v", n, err)
	}
	if client.fast {
		t.Error("still taken for fast")
	}
	for n < lowWater+1 {
		m, err := client.Read(p[n:])
		if err != nil {
			t.Fatal(err)
		}
		n += m
	}
	if client.low != 1 {
		t.Errorf("low water is %d", client.low)
	}
}
