package fetch

import (
	"encoding/binary"
	"net/netip"
)

// forbidden are the IPv4 networks that are not the public internet, by the
// registry of special-purpose addresses (RFC 6890 and its successors), and why.
var forbidden = []struct {
	network netip.Prefix
	why     string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "unspecified"},
	{netip.MustParsePrefix("10.0.0.0/8"), "private"},
	{netip.MustParsePrefix("100.64.0.0/10"), "shared by carriers"},
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local"},
	{netip.MustParsePrefix("172.16.0.0/12"), "private"},
	{netip.MustParsePrefix("192.0.0.0/24"), "for protocols"},
	{netip.MustParsePrefix("192.0.2.0/24"), "for documentation"},
	{netip.MustParsePrefix("192.88.99.0/24"), "a 6to4 relay"},
	{netip.MustParsePrefix("192.168.0.0/16"), "private"},
	{netip.MustParsePrefix("198.18.0.0/15"), "for benchmarks"},
	{netip.MustParsePrefix("198.51.100.0/24"), "for documentation"},
	{netip.MustParsePrefix("203.0.113.0/24"), "for documentation"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved"},
}

// Of IPv6 only global unicast is public, without the parts of it that are
// special; NAT64 is as public as what it leads to.
var (
	globalUnicast = netip.MustParsePrefix("2000::/3")
	nat64         = netip.MustParsePrefix("64:ff9b::/96")
	special6      = []struct {
		network netip.Prefix
		why     string
	}{
		{netip.MustParsePrefix("2001::/32"), "Teredo"},
		{netip.MustParsePrefix("2001::/23"), "for protocols"},
		{netip.MustParsePrefix("2001:db8::/32"), "for documentation"},
		{netip.MustParsePrefix("2002::/16"), "6to4"},
		{netip.MustParsePrefix("3fff::/20"), "for documentation"},
	}
)

// isatap ends an address of ISATAP, before its IPv4 address, but for the bit that
// says whether that is globally unique.
const isatap, isatapMask = 0x0000_5efe, 0xfdff_ffff

// whyForbidden says what keeps an address from being a public one, "" when it is
// one. An IPv6 address that leads to an IPv4 one is judged by that, or refused
// whatever it embeds.
func whyForbidden(a netip.Addr) string {
	switch {
	case !a.IsValid():
		return "no address"
	case a.Zone() != "":
		return "an address with a zone"
	}
	a = a.Unmap() // ::ffff:0:0/96
	if a.Is4() {
		for _, f := range forbidden {
			if f.network.Contains(a) {
				return f.why
			}
		}
		return ""
	}
	b := a.As16()
	if nat64.Contains(a) {
		return whyForbidden(netip.AddrFrom4([4]byte(b[12:])))
	}
	if !globalUnicast.Contains(a) {
		return whyLocal6(a)
	}
	for _, s := range special6 {
		if s.network.Contains(a) {
			return s.why
		}
	}
	if binary.BigEndian.Uint32(b[8:])&isatapMask == isatap {
		return whyForbidden(netip.AddrFrom4([4]byte(b[12:])))
	}
	return ""
}

// whyLocal6 names what is not global unicast.
func whyLocal6(a netip.Addr) string {
	switch {
	case a.IsLoopback():
		return "loopback"
	case a.IsUnspecified():
		return "unspecified"
	case a.IsPrivate():
		return "private"
	case a.IsLinkLocalUnicast():
		return "link-local"
	case a.IsMulticast():
		return "multicast"
	}
	return "reserved"
}
