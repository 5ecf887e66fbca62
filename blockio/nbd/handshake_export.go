package nbd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

// defaultBlock is the preferred block size when the export names none.
const defaultBlock = 4 << 10

// list answers optList.
func (h *handshake) list() error {
	exports, err := h.server.exports.List(h.life, h.who)
	if err != nil {
		h.server.opts.Logger.Warn("NBD exports not listed", "peer", h.who.Peer, "reason", err)
		return h.refuse(optList, repErrPolicy, "the list cannot be had now")
	}
	for _, e := range exports {
		p := binary.BigEndian.AppendUint32(nil, uint32(len(e.Name)))
		p = append(append(p, e.Name...), e.Description...)
		if err := h.reply(optList, repServer, p); err != nil {
			return err
		}
	}
	return h.reply(optList, repAck, nil)
}

// open opens an export for the transmission, or for a look at it.
func (h *handshake) open(name string) (*Export, error) {
	if len(name) > maxName {
		return nil, fmt.Errorf("open export: %w: a name of %d bytes", ErrNotFound, len(name))
	}
	e, err := h.server.exports.Open(h.life, name, h.who)
	if err != nil && !errors.Is(err, ErrNotFound) {
		h.server.opts.Logger.Warn("NBD export not opened", "peer", h.who.Peer, "reason", err)
	}
	return e, err
}

// refuseOpen answers an option whose export cannot be opened.
func (h *handshake) refuseOpen(opt option, err error) error {
	switch {
	case errors.Is(err, ErrNotFound):
		return h.refuse(opt, repErrUnknown, "no such export")
	case errors.Is(err, ErrBusy):
		return h.refuse(opt, repErrPolicy, "the export is in use")
	}
	return h.refuse(opt, repErrPolicy, "the export cannot be opened")
}

// use makes an open export that of the connection.
func (h *handshake) use(e *Export, name string) {
	h.export, h.dev = e, newDevice(e)
	if h.meta != nil && *h.meta != name {
		h.meta = nil
	}
}

// exportName answers optExportName, which knows no errors.
func (h *handshake) exportName(name string) error {
	e, err := h.open(name)
	if err != nil {
		return err
	}
	h.use(e, name)
	p := binary.BigEndian.AppendUint64(nil, uint64(h.dev.size))
	p = binary.BigEndian.AppendUint16(p, h.dev.flags(h.structured))
	if !h.noZeroes {
		p = append(p, make([]byte, 124)...)
	}
	_, err = h.net.Write(p)
	return err
}

// info answers optInfo and optGo; done when the transmission begins.
func (h *handshake) info(opt option, data []byte) (done bool, err error) {
	name, rest, ok := cutString(data)
	if !ok || len(rest) < 2 || len(rest) != 2+2*int(binary.BigEndian.Uint16(rest)) {
		return false, h.refuse(opt, repErrInvalid, "the option's lengths do not add up")
	}
	e, err := h.open(name)
	if err != nil {
		return false, h.refuseOpen(opt, err)
	}
	err = h.describe(opt, e, rest[2:])
	if err == nil {
		err = h.reply(opt, repAck, nil)
	}
	if err != nil || opt == optInfo {
		return false, errors.Join(err, e.close())
	}
	h.use(e, name)
	return true, nil
}

// describe sends what is to be known of an export; wanted are the numbers of
// the kinds of information that the client asked for.
func (h *handshake) describe(opt option, e *Export, wanted []byte) error {
	dev := newDevice(e)
	p := binary.BigEndian.AppendUint16(nil, infoExport)
	p = binary.BigEndian.AppendUint64(p, uint64(dev.size))
	p = binary.BigEndian.AppendUint16(p, dev.flags(h.structured))
	if err := h.reply(opt, repInfo, p); err != nil {
		return err
	}
	p = binary.BigEndian.AppendUint16(p[:0], infoBlockSize)
	p = binary.BigEndian.AppendUint32(p, 1)
	p = binary.BigEndian.AppendUint32(p, uint32(preferredBlock(e.PreferredBlock, h.server.opts.MaxRequest)))
	p = binary.BigEndian.AppendUint32(p, uint32(h.server.opts.MaxRequest))
	if err := h.reply(opt, repInfo, p); err != nil {
		return err
	}
	for ; len(wanted) > 0; wanted = wanted[2:] {
		var text string
		kind := binary.BigEndian.Uint16(wanted)
		switch kind {
		case infoName:
			text = e.Name
		case infoDescription:
			text = e.Description
		}
		if text == "" {
			continue
		}
		p = append(binary.BigEndian.AppendUint16(p[:0], kind), text...)
		if err := h.reply(opt, repInfo, p); err != nil {
			return err
		}
	}
	return nil
}

// preferredBlock is a power of two from 512 up to the largest request.
func preferredBlock(n, most int) int {
	if n <= 0 {
		n = defaultBlock
	}
	return min(max(512, 1<<(bits.Len(uint(n))-1)), most)
}

// cutString cuts a string off that follows its length.
func cutString(p []byte) (s string, rest []byte, ok bool) {
	if len(p) < 4 {
		return "", nil, false
	}
	n := binary.BigEndian.Uint32(p)
	if uint64(n) > uint64(len(p)-4) {
		return "", nil, false
	}
	return string(p[4 : 4+n]), p[4+n:], true
}
