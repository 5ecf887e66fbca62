package nbd

import (
	"crypto/tls"
	"fmt"
)

// startTLS answers optStartTLS. What was negotiated in plain text before is
// forgotten: someone in between may have sent it.
func (h *handshake) startTLS() error {
	switch {
	case h.who.TLS:
		return h.refuse(optStartTLS, repErrInvalid, "TLS is on already")
	case h.sec.TLS == nil:
		return h.refuse(optStartTLS, repErrPolicy, "TLS is not configured")
	}
	if err := h.reply(optStartTLS, repAck, nil); err != nil {
		return err
	}
	t := tls.Server(h.plain, h.sec.TLS)
	if err := t.HandshakeContext(h.life); err != nil {
		return fmt.Errorf("TLS handshake: %w", err)
	}
	h.net = t
	h.who = h.who.encrypted(t.ConnectionState())
	h.structured, h.meta = false, nil
	return nil
}
