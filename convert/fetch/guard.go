package fetch

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
)

// Guard says where sources may be fetched from. The zero value allows public
// addresses, over https.
type Guard struct {
	// Allow are networks ("127.0.0.0/8"), addresses and host names that are
	// allowed beyond the public addresses. A host name is that of the URL, and
	// allows every address that it stands for.
	Allow []string
	// AllowHTTP allows http too.
	AllowHTTP bool
}

// Validate says whether every entry of Allow can be understood.
func (g Guard) Validate() error {
	_, err := g.rules()
	return err
}

// rules are a guard, parsed.
type rules struct {
	networks  []netip.Prefix
	hosts     []string
	allowHTTP bool
}

func (g Guard) rules() (*rules, error) {
	r := &rules{allowHTTP: g.AllowHTTP}
	for _, entry := range g.Allow {
		text := strings.TrimSpace(entry)
		if text == "" {
			continue
		}
		prefix, err := netip.ParsePrefix(text)
		if a, aerr := netip.ParseAddr(strings.Trim(text, "[]")); aerr == nil && a.Zone() == "" {
			prefix, err = a.Prefix(a.BitLen())
		}
		switch {
		case err == nil:
			r.networks = append(r.networks, unmapPrefix(prefix.Masked()))
		case isHostName(text):
			r.hosts = append(r.hosts, hostKey(text))
		default:
			return nil, fmt.Errorf("allow %q: neither a network nor a host", entry)
		}
	}
	return r, nil
}

// unmapPrefix gives networks of mapped addresses the form that addresses are
// compared in.
func unmapPrefix(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p
}

// isHostName says whether text is a name that a URL can have for its host, and
// could not be taken for an address by a resolver.
func isHostName(text string) bool {
	last := text[strings.LastIndexByte(strings.TrimSuffix(text, "."), '.')+1:]
	return !strings.ContainsFunc(text, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != '_'
	}) && strings.ContainsFunc(last, func(r rune) bool { return r > '9' })
}

// hostKey is the form in which host names are compared.
func hostKey(host string) string { return strings.ToLower(strings.TrimSuffix(host, ".")) }

// allowsHost says whether a host may stand for any address.
func (r *rules) allowsHost(host string) bool { return slices.Contains(r.hosts, hostKey(host)) }

// check says whether an address may be connected to.
func (r *rules) check(a netip.Addr) error {
	plain := a.Unmap()
	if slices.ContainsFunc(r.networks, func(p netip.Prefix) bool { return p.Contains(plain) }) {
		return nil
	}
	if why := whyForbidden(a); why != "" {
		return fmt.Errorf("address %v (%s): %w", a, why, ErrForbidden)
	}
	return nil
}

// control is that of a net.Dialer: it judges the address that a socket is about
// to be connected to, when no name can stand between the two any more.
func (r *rules) control(next controlFunc) controlFunc {
	return func(ctx context.Context, network, address string, c syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(address)
		if err != nil || (network != "tcp4" && network != "tcp6") {
			return fmt.Errorf("%s address: %w", network, ErrForbidden)
		}
		if err := r.check(ap.Addr()); err != nil {
			return err
		}
		if next == nil {
			return nil
		}
		return next(ctx, network, address, c)
	}
}

type controlFunc = func(ctx context.Context, network, address string, c syscall.RawConn) error

// dial makes the DialContext of a transport. No proxy is ever between.
func (r *rules) dial(opts Options) func(ctx context.Context, network, address string) (net.Conn, error) {
	guarded := net.Dialer{Timeout: opts.HeaderTimeout, Resolver: opts.Resolver, ControlContext: r.control(opts.Control)}
	free := guarded
	free.ControlContext = opts.Control
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		if r.allowsHost(host) {
			return newBodyConn(free.DialContext(ctx, network, address))
		}
		return newBodyConn(guarded.DialContext(ctx, network, address))
	}
}
