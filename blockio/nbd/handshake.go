package nbd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// Limits of the negotiation.
const (
	maxOptions = 4096     // of one connection
	maxOption  = 64 << 10 // bytes of one; longer ones are refused
	maxSkipped = 1 << 20  // bytes of one that is refused; then the client is
	maxName    = 4096     // bytes of a name, the protocol's own limit
)

// errProtocol says that a client broke the protocol beyond repair.
var errProtocol = errors.New("protocol error")

// handshake is the state of a negotiation. Until it ends nothing is buffered:
// what follows an option in the stream is not read before the option is dealt
// with, and no plain text is taken for encrypted.
type handshake struct {
	*conn
	noZeroes bool
	// meta is the export for which base:allocation was asked, if it was.
	meta *string
}

// negotiate brings the connection to an open export, or to its end.
func (c *conn) negotiate() error {
	deadline := time.Now().Add(c.server.opts.HandshakeTime)
	if err := c.plain.SetDeadline(deadline); err != nil {
		return err
	}
	if c.draining.Load() {
		return ErrClosed
	}
	h := handshake{conn: c}
	if err := h.greet(); err != nil {
		return fmt.Errorf("greet: %w", err)
	}
	for range maxOptions {
		done, err := h.step()
		if err != nil {
			return err
		}
		if done {
			c.allocation = c.structured && h.meta != nil && c.dev.mapper != nil
			return c.plain.SetDeadline(time.Time{})
		}
	}
	return fmt.Errorf("%w: more than %d options", errProtocol, maxOptions)
}

// greet exchanges the flags of the handshake.
func (h *handshake) greet() error {
	p := binary.BigEndian.AppendUint64(nil, magicServer)
	p = binary.BigEndian.AppendUint64(p, magicOption)
	p = binary.BigEndian.AppendUint16(p, flagFixedNewstyle|flagNoZeroes)
	if _, err := h.net.Write(p); err != nil {
		return fmt.Errorf("write greeting: %w", err)
	}
	if _, err := io.ReadFull(h.net, p[:4]); err != nil {
		return h.ended(err)
	}
	flags := binary.BigEndian.Uint32(p)
	if flags&^uint32(flagFixedNewstyle|flagNoZeroes) != 0 || flags&flagFixedNewstyle == 0 {
		return fmt.Errorf("%w: client flags %#x", errProtocol, flags)
	}
	h.noZeroes = flags&flagNoZeroes != 0
	return nil
}

// step reads one option and deals with it; done when the transmission begins.
func (h *handshake) step() (done bool, err error) {
	var head [16]byte
	if _, err := io.ReadFull(h.net, head[:]); err != nil {
		return false, h.ended(err)
	}
	if binary.BigEndian.Uint64(head[:]) != magicOption {
		return false, fmt.Errorf("%w: option without its magic number", errProtocol)
	}
	opt, n := option(binary.BigEndian.Uint32(head[8:])), binary.BigEndian.Uint32(head[12:])
	if n > maxOption {
		return false, h.refuseLong(opt, n)
	}
	data := make([]byte, n)
	if _, err := io.ReadFull(h.net, data); err != nil {
		return false, fmt.Errorf("read %d bytes of option %d: %w", n, opt, err)
	}
	done, err = h.handle(opt, data)
	if err != nil {
		err = fmt.Errorf("option %d: %w", opt, err)
	}
	return done, err
}

func (h *handshake) refuseLong(opt option, n uint32) error {
	if n > maxSkipped || opt == optExportName {
		return fmt.Errorf("%w: option %d of %d bytes", errProtocol, opt, n)
	}
	if _, err := io.CopyN(io.Discard, h.net, int64(n)); err != nil {
		return err
	}
	return h.refuse(opt, repErrTooBig, "the option is too long")
}

// handle deals with one option.
func (h *handshake) handle(opt option, data []byte) (done bool, err error) {
	if h.sec.Required && !h.who.TLS {
		switch opt {
		case optStartTLS, optAbort:
		case optExportName:
			return false, fmt.Errorf("%w: TLS is required", errProtocol)
		default:
			return false, h.refuse(opt, repErrTLS, "TLS is required")
		}
	}
	switch opt {
	case optExportName:
		return true, h.exportName(string(data))
	case optAbort:
		_ = h.reply(opt, repAck, nil) // the client may be gone
		return false, errDone
	case optInfo, optGo:
		return h.info(opt, data)
	case optListMeta, optSetMeta:
		return false, h.metaContexts(opt, data)
	}
	if len(data) != 0 && (opt == optList || opt == optStartTLS || opt == optStructuredReply) {
		return false, h.refuse(opt, repErrInvalid, "the option takes no data")
	}
	switch opt {
	case optList:
		return false, h.list()
	case optStartTLS:
		return false, h.startTLS()
	case optStructuredReply:
		if h.structured {
			return false, h.refuse(opt, repErrInvalid, "structured replies are on already")
		}
		h.structured = true
		return false, h.reply(opt, repAck, nil)
	}
	return false, h.refuse(opt, repErrUnsup, "unknown option")
}

// reply sends a reply to an option.
func (h *handshake) reply(opt option, rep optionReply, data []byte) error {
	p := make([]byte, 0, 20+len(data))
	p = binary.BigEndian.AppendUint64(p, magicOptionReply)
	p = binary.BigEndian.AppendUint32(p, uint32(opt))
	p = binary.BigEndian.AppendUint32(p, uint32(rep))
	p = binary.BigEndian.AppendUint32(p, uint32(len(data)))
	_, err := h.net.Write(append(p, data...))
	return err
}

// refuse sends an error reply with a text for people.
func (h *handshake) refuse(opt option, rep optionReply, text string) error {
	return h.reply(opt, rep, []byte(text))
}
