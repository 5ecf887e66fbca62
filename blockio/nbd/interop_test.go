package nbd_test

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/nbd"
)

// need finds a program; without it the test is skipped, but not in CI.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err == nil {
			continue
		}
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed", p)
		}
		t.Skipf("%s is not installed", p)
	}
}

// run runs a program that must succeed.
func run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

const diskSize = 24 << 20

// disk makes a file with data and holes.
func disk(t *testing.T) (path string, d *blockio.Device) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "disk")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := make([]byte, 1<<20)
	for i := range p {
		p[i] = byte(i*7 ^ i>>9)
	}
	for _, off := range []int64{0, 3 << 20, 4 << 20, 9<<20 + 4096, 20 << 20} {
		if _, err := f.WriteAt(p, off); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(diskSize); err != nil {
		t.Fatal(err)
	}
	d, err = blockio.OpenDevice(path, blockio.DeviceOptions{Write: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return path, d
}

// endpoint is a way to an export, as libnbd and as QEMU name it.
type endpoint struct {
	name string
	uri  string
	qemu []string // arguments of qemu-img and qemu-io, the image last
}

// endpoints serves a device over a Unix socket, TCP, and TCP with TLS.
func endpoints(t *testing.T, d nbd.Device, readOnly bool) []endpoint {
	t.Helper()
	exports := exportOf(d, readOnly)
	sock := listen(t, exports, nbd.Security{})
	unix := nbd.URI(&net.UnixAddr{Name: string(sock), Net: "unix"}, "disk", false)
	tcp := nbd.URI(listenTCP(t, exports, nbd.Security{}), "disk", false)

	a := newAuthority(t)
	a.issue("client", x509.ExtKeyUsageClientAuth)
	addr := listenTCP(t, exports, nbd.Security{TLS: a.server(), Required: true})
	secure := nbd.URI(addr, "disk", true)
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		t.Fatal(err)
	}
	return []endpoint{
		{"unix", unix, []string{"--image-opts", "driver=raw,file.driver=nbd,file.server.type=unix,file.server.path=" + string(sock) + ",file.export=disk"}},
		{"tcp", tcp, []string{"-f", "raw", tcp}},
		{"tls", secure + "?tls-certificates=" + a.dir, []string{
			"--object", "tls-creds-x509,id=tls,dir=" + a.dir + ",endpoint=client",
			"--image-opts", "driver=raw,file.driver=nbd,file.server.type=inet,file.server.host=" + host + ",file.server.port=" + port + ",file.export=disk,file.tls-creds=tls",
		}},
	}
}

func listenTCP(t *testing.T, exports nbd.Exports, sec nbd.Security) net.Addr {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, l, exports, sec)
	return l.Addr()
}

func TestLibnbd(t *testing.T) {
	need(t, "nbdinfo", "nbdcopy")
	path, d := disk(t)
	for _, e := range endpoints(t, d, false) {
		t.Run(e.name, func(t *testing.T) {
			var info struct {
				Exports []struct {
					Size        int64    `json:"export-size"`
					Contexts    []string `json:"contexts"`
					ReadOnly    bool     `json:"is_read_only"`
					FastZero    bool     `json:"can_fast_zero"`
					MultiConn   bool     `json:"can_multi_conn"`
					Description string   `json:"description"`
				} `json:"exports"`
			}
			if err := json.Unmarshal([]byte(run(t, "nbdinfo", "--json", e.uri)), &info); err != nil {
				t.Fatal(err)
			}
			x := info.Exports[0]
			if x.Size != diskSize || x.ReadOnly || !x.FastZero || !x.MultiConn || len(x.Contexts) != 1 || x.Description != "a disk" {
				t.Errorf("%+v", x)
			}
			if out := run(t, "nbdinfo", "--map", "--totals", e.uri); !strings.Contains(out, "hole,zero") || !strings.Contains(out, "5242880") {
				t.Errorf("map:\n%s", out)
			}
			out := filepath.Join(t.TempDir(), "out")
			run(t, "nbdcopy", e.uri, out)
			sameFiles(t, out, path)
			source := filepath.Join(t.TempDir(), "source")
			reversed(t, path, source)
			run(t, "nbdcopy", "--flush", "--destination-is-zero", source, e.uri)
			run(t, "nbdcopy", "--flush", source, e.uri)
			sameFiles(t, path, source)
		})
	}
}

func TestQEMU(t *testing.T) {
	need(t, "qemu-img", "qemu-io")
	path, d := disk(t)
	for _, e := range endpoints(t, d, false) {
		t.Run(e.name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			run(t, append([]string{"qemu-img", "convert", "-O", "raw"}, append(e.qemu, out)...)...)
			sameFiles(t, out, path)
			want := run(t, "qemu-img", "map", "--output=json", "-f", "raw", path)
			got := run(t, append([]string{"qemu-img", "map", "--output=json"}, e.qemu...)...)
			if a, b := dataRanges(t, want), dataRanges(t, got); a != b {
				t.Errorf("map:\n%s\nwant\n%s", b, a)
			}
			patterns := []string{
				"write -P 0x11 4096 65536", "write -f -P 0x22 100k 3M", "write -z 200k 1M", "write -z -u 2M 512k",
				"discard 20M 1M", "aio_write -P 0x33 12M 2M", "aio_write -P 0x44 15M 77k", "aio_flush", "flush",
				"write -P 0x55 511 1025",
				"read -P 0x11 8k 4k", "read -P 0x22 101k 90k", "read -P 0 200k 1M", "read -P 0 2M 512k",
				"read -P 0x33 12M 2M", "read -P 0x44 15M 77k", "read -P 0x55 511 1025",
			}
			args := []string{"qemu-io"}
			for _, p := range patterns {
				args = append(args, "-c", p)
			}
			if out := run(t, append(args, e.qemu...)...); strings.Contains(out, "failed") {
				t.Errorf("qemu-io:\n%s", out)
			}
			run(t, append([]string{"qemu-img", "convert", "-O", "raw"}, append(e.qemu, out)...)...)
			sameFiles(t, out, path)
		})
	}
}

// dataRanges is what of a map holds data.
func dataRanges(t *testing.T, text string) string {
	t.Helper()
	var extents []struct {
		Start, Length int64
		Data          bool
	}
	if err := json.Unmarshal([]byte(text), &extents); err != nil {
		t.Fatal(err)
	}
	var data [][2]int64
	for _, e := range extents {
		if e.Data {
			data = append(data, [2]int64{e.Start, e.Length})
		}
	}
	p, _ := json.Marshal(data)
	return string(p)
}

func sameFiles(t *testing.T, a, b string) {
	t.Helper()
	p, err := os.ReadFile(a)
	if err != nil {
		t.Fatal(err)
	}
	q, err := os.ReadFile(b)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(p, q) {
		t.Errorf("%s and %s differ", filepath.Base(a), filepath.Base(b))
	}
}

// reversed makes a file with the megabytes of another in reverse order.
func reversed(t *testing.T, from, to string) {
	t.Helper()
	p, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	const unit = 1 << 20
	q := make([]byte, 0, len(p))
	for off := len(p) - unit; off >= 0; off -= unit {
		q = append(q, p[off:off+unit]...)
	}
	if err := os.WriteFile(to, q, 0o600); err != nil {
		t.Fatal(err)
	}
}
