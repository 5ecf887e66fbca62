package fetch_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/blockmill/blockmill/convert/fetch"
)

// forbiddenAddresses are the first and last of their networks, where there is
// more than one.
var forbiddenAddresses = []string{
	"0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255", "127.0.0.1", "127.255.255.255",
	"169.254.0.1", "169.254.169.254", "172.16.0.0", "172.31.255.255", "192.0.0.0", "192.0.0.170", "192.0.2.1", "192.88.99.1",
	"192.168.0.0", "192.168.255.255", "198.18.0.0", "198.19.255.255", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.255",
	"240.0.0.0", "255.255.255.254", "255.255.255.255",
	"::", "::1", "fe80::1", "febf::1", "fec0::1", "fc00::1", "fd12:3456:789a::1", "ff02::1", "ff0e::1", "100::1", "5f00::1",
	"2001:db8::1", "3fff::1", "2001::1", "2001:2::1", "2001:10::1", "2001:20::1", "2001:1ff:ffff::1", "4000::1", "1fff::1",
	// Mapped, compatible and translated.
	"::ffff:127.0.0.1", "::ffff:10.1.2.3", "::ffff:169.254.169.254", "::ffff:0.0.0.0", "::ffff:192.168.1.1", "::ffff:100.64.0.1", "::ffff:255.255.255.255",
	"::127.0.0.1", "::10.0.0.1", "::169.254.169.254", "::8.8.8.8", "::ffff:0:127.0.0.1", "::ffff:0:8.8.8.8",
	// NAT64, both prefixes.
	"64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b::192.168.0.1", "64:ff9b::100.100.100.200", "64:ff9b::224.0.0.1",
	"64:ff9b:1::127.0.0.1", "64:ff9b:1:abcd::1", "64:ff9b:1::8.8.8.8", "64:ff9b:2::1",
	// 6to4, Teredo, ISATAP.
	"2002:7f00:1::1", "2002:a00:1::1", "2002:a9fe:a9fe::1", "2002:808:808::1",
	"2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:0:808:808:0:0:80ff:fffe", "2001:0:7f00:1::1",
	"2a00::5efe:127.0.0.1", "2a00:1450::200:5efe:10.0.0.1", "2a00:1450::200:5efe:169.254.169.254",
	// With a zone.
	"fe80::1%eth0", "2a00:1450::1%lo", "::1%lo", "::ffff:8.8.8.8%x",
}

// publicAddresses must not be refused.
var publicAddresses = []string{
	"8.8.8.8", "1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.1", "169.253.255.255",
	"172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255",
	"2a00:1450:4001:800::200e", "2606:4700::1111", "2001:200::1", "2001:4860:4860::8888", "2003::1", "3ffe::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8",
	"2a00:1450::5efe:8.8.8.8",
}

// dialer notes what would have been connected to, and connects to nothing.
type dialer struct {
	mu  sync.Mutex
	got []string
}

var errStopped = errors.New("stopped before the connection")

func (d *dialer) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.got = append(d.got, address)
	return errStopped
}

// names is a resolver that gives every name the same addresses.
func names(addresses ...string) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go serveNames(server, addresses)
		return client, nil
	}}
}

// serveNames answers DNS questions over a stream.
func serveNames(c net.Conn, addresses []string) {
	defer c.Close()
	for {
		var length [2]byte
		if _, err := io.ReadFull(c, length[:]); err != nil {
			return
		}
		q := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(c, q); err != nil {
			return
		}
		end := 12
		for q[end] != 0 {
			end += int(q[end]) + 1
		}
		kind := binary.BigEndian.Uint16(q[end+1:])
		a := append([]byte{q[0], q[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, q[12:end+5]...)
		for _, text := range addresses {
			ip := netip.MustParseAddr(text)
			if ip.Is4() != (kind == 1) || kind != 1 && kind != 28 {
				continue
			}
			a[7]++
			a = append(a, 0xc0, 12, byte(kind>>8), byte(kind), 0, 1, 0, 0, 0, 60, 0, byte(len(ip.AsSlice())))
			a = append(a, ip.AsSlice()...)
		}
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(a))), a...)); err != nil {
			return
		}
	}
}

// literal is a URL's host that is an address.
func literal(address string) string {
	if strings.Contains(address, ":") {
		return "[" + strings.ReplaceAll(address, "%", "%25") + "]"
	}
	return address
}

func (d *dialer) open(t *testing.T, url string, opts fetch.Options) error {
	opts.Control, opts.Attempts = d.control, 1
	src, err := fetch.Open(t.Context(), url, opts)
	if err == nil {
		src.Close()
		t.Errorf("%s was opened", url)
	}
	return err
}

func TestForbiddenAddresses(t *testing.T) {
	t.Parallel()
	if len(forbiddenAddresses) < 80 {
		t.Fatalf("%d forbidden addresses, want 80", len(forbiddenAddresses))
	}
	for _, address := range forbiddenAddresses {
		t.Run(address, func(t *testing.T) {
			t.Parallel()
			d := new(dialer)
			if err := d.open(t, "https://"+literal(address)+"/", fetch.Options{}); !errors.Is(err, fetch.ErrForbidden) {
				t.Errorf("as a host: %v", err)
			}
			if !strings.Contains(address, "%") {
				if err := d.open(t, "https://name.example/", fetch.Options{Resolver: names(address)}); !errors.Is(err, fetch.ErrForbidden) {
					t.Errorf("behind a name: %v", err)
				}
			}
			if len(d.got) > 0 {
				t.Errorf("the dialer was let go to %v", d.got)
			}
		})
	}
}

func TestPublicAddresses(t *testing.T) {
	t.Parallel()
	for _, address := range publicAddresses {
		d := new(dialer)
		err := d.open(t, "https://name.example/", fetch.Options{Resolver: names(address)})
		if !errors.Is(err, errStopped) || len(d.got) != 1 {
			t.Errorf("%s: %v, went to %v", address, err, d.got)
		}
	}
}

// TestNoAddress has a name that stands for nothing.
func TestNoAddress(t *testing.T) {
	t.Parallel()
	err := new(dialer).open(t, "https://name.example/", fetch.Options{Resolver: names()})
	const want = `fetch https://name.example/: look up host "name.example": no such host`
	if !errors.Is(err, fetch.ErrGone) || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// TestMixedAddresses has a name with forbidden addresses and a public one.
func TestMixedAddresses(t *testing.T) {
	t.Parallel()
	d := new(dialer)
	_ = d.open(t, "https://name.example/", fetch.Options{Resolver: names("10.0.0.1", "8.8.8.8", "::1", "127.0.0.1")})
	if len(d.got) != 1 || d.got[0] != "8.8.8.8:443" {
		t.Errorf("went to %v", d.got)
	}
}

// TestRedirectToForbidden is led from an allowed address to forbidden ones.
func TestRedirectToForbidden(t *testing.T) {
	t.Parallel()
	for _, address := range forbiddenAddresses {
		if strings.HasPrefix(address, "127.") || address == "::ffff:127.0.0.1" {
			continue // is where the test's server is
		}
		s := newServer(t, nil)
		s.handler = status(1, http.StatusFound, "Location", "http://"+literal(address)+"/")
		seen := new(dialer)
		opts := local()
		opts.MaxRedirects = 3
		opts.Control = func(ctx context.Context, network, address string, c syscall.RawConn) error {
			if address == s.Listener.Addr().String() {
				return nil
			}
			return seen.control(ctx, network, address, c)
		}
		if _, err := fetch.Open(t.Context(), s.URL, opts); !errors.Is(err, fetch.ErrForbidden) {
			t.Errorf("%s: %v", address, err)
		}
		if len(seen.got) > 0 {
			t.Errorf("%s: went to %v", address, seen.got)
		}
	}
}

func TestAllow(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		allow, host, address string
		ok                   bool
	}{
		{"10.0.0.0/8", "name.example", "10.1.2.3", true},
		{"10.0.0.0/8", "name.example", "11.1.2.3", true}, // public
		{"10.0.0.0/8", "name.example", "192.168.1.1", false},
		{"10.0.0.0/8", "name.example", "::ffff:10.1.2.3", true},
		{"::ffff:10.0.0.0/104", "name.example", "10.1.2.3", true},
		{"10.1.2.3", "name.example", "10.1.2.3", true},
		{"10.1.2.3", "name.example", "10.1.2.4", false},
		{"fd00::/8", "name.example", "fd00::1", true},
		{"[fd00::1]", "name.example", "fd00::1", true},
		{"fd00::/8", "name.example", "fc00::1", false},
		{"store.internal", "store.internal", "10.1.2.3", true},
		{"Store.Internal.", "store.internal", "127.0.0.1", true},
		{"store.internal", "other.internal", "10.1.2.3", false},
		{"store.internal", "x.store.internal", "10.1.2.3", false},
		{"localhost", "localhost.example", "127.0.0.1", false},
		{" 10.0.0.0/8 ", "name.example", "10.0.0.1", true},
		{"", "name.example", "10.0.0.1", false},
	} {
		d := new(dialer)
		err := d.open(t, "https://"+tt.host+"/", fetch.Options{Guard: fetch.Guard{Allow: []string{tt.allow}}, Resolver: names(tt.address)})
		if tt.ok != (len(d.got) == 1) || tt.ok == errors.Is(err, fetch.ErrForbidden) {
			t.Errorf("allow %q, %s at %s: %v, went to %v", tt.allow, tt.host, tt.address, err, d.got)
		}
	}
	for _, bad := range []string{"10.0.0.0/33", "http://x", "a b", "127.1", "1.2.3.4.5", "fe80::1%eth0", "*", "10.0.0.0-10.0.0.9", "host:80"} {
		if err := (fetch.Guard{Allow: []string{bad}}).Validate(); err == nil {
			t.Errorf("allow %q was taken", bad)
		}
	}
}

// TestNoProxy sets a proxy that nobody may ask.
func TestNoProxy(t *testing.T) {
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"} {
		t.Setenv(name, "http://127.0.0.1:9")
	}
	d := new(dialer)
	err := d.open(t, "https://name.example/", fetch.Options{Resolver: names("8.8.8.8"), Guard: fetch.Guard{Allow: []string{"127.0.0.1"}}})
	if len(d.got) != 1 || d.got[0] != "8.8.8.8:443" {
		t.Errorf("went to %v, %v", d.got, err)
	}
}

func TestURLs(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]error{
		"":                              fetch.ErrURL,
		"disk.raw":                      fetch.ErrURL,
		"/disk.raw":                     fetch.ErrURL,
		"file:///etc/passwd":            fetch.ErrURL,
		"ftp://host.example/":           fetch.ErrURL,
		"nbd://host.example/":           fetch.ErrURL,
		"https:///path":                 fetch.ErrURL,
		"https:opaque":                  fetch.ErrURL,
		"https://user@host.example/":    fetch.ErrURL,
		"https://user:pw@host.example/": fetch.ErrURL,
		"https://@host.example/":        fetch.ErrURL,
		"https://host.example:0/":       fetch.ErrURL,
		"https://host.example:65536/":   fetch.ErrURL,
		"https://host.example:x/":       fetch.ErrURL,
		"https://ho st/":                fetch.ErrURL,
		"https://host.example/%zz?sig=SECRETSECRET":                     fetch.ErrURL,
		"https://host.example/\x00":                                     fetch.ErrURL,
		"https://host.example/?" + strings.Repeat("SECRETSECRET", 2000): fetch.ErrURL,
		"http://host.example/?sig=SECRETSECRET":                         fetch.ErrForbidden,
		"HTTP://host.example/":                                          fetch.ErrForbidden,
	} {
		d := new(dialer)
		err := d.open(t, url, fetch.Options{Resolver: names("8.8.8.8")})
		if !errors.Is(err, want) || len(d.got) > 0 || strings.Contains(err.Error(), "SECRET") || strings.Contains(err.Error(), "pw") {
			t.Errorf("%.60q: %v, want %v; went to %v", url, err, want, d.got)
		}
	}
}
