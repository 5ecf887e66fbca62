package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc/credentials"

	"github.com/blockmill/blockmill/api/auth"
)

// transport makes a gRPC connection of one of a Listener: with TLS when that
// wants it, and with its peer as the connection's authentication.
type transport struct{ patience time.Duration } // with answers that are not taken

// peerInfo is what a gRPC connection knows of its peer.
type peerInfo struct {
	credentials.CommonAuthInfo
	peer    auth.Peer
	answers *answering
}

// AuthType is of credentials.AuthInfo.
func (peerInfo) AuthType() string { return "blockmill" }

var errClientSide = errors.New("these are a server's credentials")

func (t transport) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	c, ok := raw.(*conn)
	if !ok {
		return nil, nil, fmt.Errorf("connection of %T: %w", raw, auth.ErrUnauthenticated)
	}
	info := peerInfo{peer: c.peer}
	if c.tls == nil {
		info.SecurityLevel = credentials.NoSecurity
		info.answers = newAnswering(c, t.patience)
		return info.answers, info, nil
	}
	secure, tlsInfo, err := credentials.NewTLS(c.tls).ServerHandshake(raw)
	if err != nil {
		return nil, nil, err
	}
	info.SecurityLevel = credentials.PrivacyAndIntegrity
	if state, ok := tlsInfo.(credentials.TLSInfo); ok {
		info.peer = withCertificates(info.peer, &state.State)
	}
	info.answers = newAnswering(secure, t.patience)
	return info.answers, info, nil
}

// withCertificates adds the client's verified chain to what is known of it.
func withCertificates(p auth.Peer, state *tls.ConnectionState) auth.Peer {
	if state != nil && len(state.VerifiedChains) > 0 {
		p.Certificates = state.VerifiedChains[0]
	}
	return p
}

func (transport) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errClientSide
}

func (transport) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}

func (t transport) Clone() credentials.TransportCredentials { return t }

func (transport) OverrideServerName(string) error { return errClientSide }
