package load

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
)

// The part of the NBD protocol that a reader needs (doc/proto.md of NBD).
const (
	nbdMagic       = 0x4e42444d41474943
	nbdOptionMagic = 0x49484156454f5054
	nbdReplyMagic  = 0x3e889045565a9
	nbdRequest     = 0x25609513
	nbdSimple      = 0x67446698
	nbdFixed       = 1 << 0
	nbdNoZeroes    = 1 << 1
	nbdOptGo       = 7
	nbdRepAck      = 1
	nbdRepInfo     = 3
	nbdInfoExport  = 0
	nbdCmdRead     = 0
	// nbdReplyMax bounds what a server may say at a time before the export is
	// open.
	nbdReplyMax = 64 << 10
)

// Export is an export of an NBD server, read at random.
type Export struct {
	conn     net.Conn
	size     int64
	block    int
	received chan struct{} // closed when receive has ended

	mu      sync.Mutex // held while a request is written
	next    uint64
	waiting map[uint64]chan error
	broken  error
}

// OpenExport connects to an NBD server and opens an export of it for reads of
// so many bytes. Close ends it.
func OpenExport(ctx context.Context, network, address, name string, block int) (*Export, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // the handshake then says why
	defer stop()
	e := &Export{conn: conn, block: block, waiting: make(map[uint64]chan error), received: make(chan struct{})}
	if err := e.handshake(name); err != nil {
		return nil, errors.Join(fmt.Errorf("open NBD export %q: %w", name, err), conn.Close())
	}
	if e.size < int64(block) {
		return nil, errors.Join(fmt.Errorf("NBD export %q of %d bytes is less than a read", name, e.size), conn.Close())
	}
	go e.receive()
	return e, nil
}

func (e *Export) handshake(name string) error {
	var hello struct {
		Magic, Option uint64
		Flags         uint16
	}
	if err := binary.Read(e.conn, binary.BigEndian, &hello); err != nil {
		return err
	}
	if hello.Magic != nbdMagic || hello.Option != nbdOptionMagic || hello.Flags&nbdFixed == 0 {
		return errors.New("the server does not speak fixed newstyle NBD")
	}
	out := binary.BigEndian.AppendUint32(nil, uint32(hello.Flags&(nbdFixed|nbdNoZeroes)))
	out = binary.BigEndian.AppendUint64(out, nbdOptionMagic)
	out = binary.BigEndian.AppendUint32(out, nbdOptGo)
	out = binary.BigEndian.AppendUint32(out, uint32(4+len(name)+2))
	out = binary.BigEndian.AppendUint32(out, uint32(len(name)))
	out = append(out, name...)
	out = binary.BigEndian.AppendUint16(out, 0)
	if _, err := e.conn.Write(out); err != nil {
		return err
	}
	for {
		done, err := e.optionReply()
		if done || err != nil {
			return err
		}
	}
}

// optionReply reads one answer to the option; the last is an acknowledgement.
func (e *Export) optionReply() (done bool, err error) {
	var head struct {
		Magic                uint64
		Option, Type, Length uint32
	}
	if err := binary.Read(e.conn, binary.BigEndian, &head); err != nil {
		return false, err
	}
	if head.Magic != nbdReplyMagic || head.Option != nbdOptGo || head.Length > nbdReplyMax {
		return false, errors.New("the server's answer is none")
	}
	data := make([]byte, head.Length)
	if _, err := io.ReadFull(e.conn, data); err != nil {
		return false, err
	}
	switch {
	case head.Type == nbdRepAck:
		return true, nil
	case head.Type == nbdRepInfo && len(data) >= 12 && binary.BigEndian.Uint16(data) == nbdInfoExport:
		e.size = int64(binary.BigEndian.Uint64(data[2:]))
	case head.Type == nbdRepInfo:
	default:
		return false, fmt.Errorf("the server refuses with %#x: %s", head.Type, data)
	}
	return false, nil
}

// Read reads one block at a random place, as an act of Run: as many are on
// their way as there are callers.
func (e *Export) Read(ctx context.Context) error {
	answer := make(chan error, 1)
	blocks := e.size / int64(e.block)
	request := binary.BigEndian.AppendUint32(make([]byte, 0, 28), nbdRequest)
	request = binary.BigEndian.AppendUint32(request, nbdCmdRead)

	e.mu.Lock()
	if err := e.broken; err != nil {
		e.mu.Unlock()
		return err
	}
	e.next++
	handle := e.next
	e.waiting[handle] = answer
	request = binary.BigEndian.AppendUint64(request, handle)
	request = binary.BigEndian.AppendUint64(request, uint64(rand.Int64N(blocks)*int64(e.block)))
	request = binary.BigEndian.AppendUint32(request, uint32(e.block))
	_, err := e.conn.Write(request)
	e.mu.Unlock()

	if err != nil {
		return err
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// receive hands the answers to those who wait, until the connection ends.
func (e *Export) receive() {
	defer close(e.received)
	data := make([]byte, e.block)
	for {
		err := e.reply(data)
		if err == nil {
			continue
		}
		e.mu.Lock()
		e.broken = fmt.Errorf("NBD connection: %w", err)
		for _, answer := range e.waiting {
			answer <- e.broken
		}
		clear(e.waiting)
		e.mu.Unlock()
		return
	}
}

func (e *Export) reply(data []byte) error {
	var head struct {
		Magic, Error uint32
		Handle       uint64
	}
	if err := binary.Read(e.conn, binary.BigEndian, &head); err != nil {
		return err
	}
	if head.Magic != nbdSimple {
		return fmt.Errorf("a reply begins with %#x", head.Magic)
	}
	var failed error
	if head.Error != 0 {
		failed = fmt.Errorf("read: NBD error %d", head.Error)
	} else if _, err := io.ReadFull(e.conn, data); err != nil {
		return err
	}
	e.mu.Lock()
	answer := e.waiting[head.Handle]
	delete(e.waiting, head.Handle)
	e.mu.Unlock()
	if answer == nil {
		return fmt.Errorf("a reply to request %d, which is not waiting", head.Handle)
	}
	answer <- failed
	return nil
}

// Close ends the connection; reads on their way fail.
func (e *Export) Close() error {
	err := e.conn.Close()
	<-e.received
	return err
}
