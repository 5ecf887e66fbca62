package nbd_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/nbd"
)

func exportOf(d nbd.Device, readOnly bool) nbd.List {
	return nbd.List{{Listing: nbd.Listing{Name: "disk", Description: "a disk"}, Device: d, ReadOnly: readOnly}}
}

func TestReadBackWhatWasWritten(t *testing.T) {
	for _, structured := range []bool{false, true} {
		m := newMemory(4 << 20)
		_, dial := start(t, exportOf(m, false), nbd.Options{}, nbd.Security{})
		c := dial().enter("disk", structured)
		want := make([]byte, 4<<20)
		rng := rand.New(rand.NewPCG(1, 2))
		for range 150 {
			off := rng.IntN(len(want) - 1)
			n := 1 + rng.IntN(min(len(want)-off, 3*page<<rng.IntN(8)))
			flags := rng.IntN(2) * fua
			switch rng.IntN(5) {
			case 0:
				p := make([]byte, n)
				for i := range p {
					p[i] = byte(rng.Uint32())
				}
				copy(want[off:], p)
				if a := c.do(flags, cmdWrite, uint64(off), uint32(n), p); a.errno != 0 {
					t.Fatalf("write: error %d", a.errno)
				}
				if flags == fua && !bytes.Equal(m.synced, want) {
					t.Fatal("answered before it was durable")
				}
			case 1:
				clear(want[off : off+n])
				if a := c.do(flags|rng.IntN(2)*noHole, cmdZeroes, uint64(off), uint32(n), nil); a.errno != 0 {
					t.Fatalf("write zeroes: error %d", a.errno)
				}
			default:
				a := c.do(0, cmdRead, uint64(off), uint32(n), nil)
				if a.errno != 0 || !bytes.Equal(a.data, want[off:off+n]) {
					t.Fatalf("read %d at %d: error %d or wrong bytes; chunks %v", n, off, a.errno, a.chunks)
				}
			}
		}
		before := m.syncs
		if a := c.do(0, cmdFlush, 0, 0, nil); a.errno != 0 || m.syncs != before+1 {
			t.Errorf("flush: error %d, %d syncs", a.errno, m.syncs-before)
		}
		c.send(0, cmdDisc, 0, 0, nil)
		if err := c.ended(); err != nil {
			t.Errorf("after a disconnect: %v", err)
		}
	}
}

func TestHolesAreNotSent(t *testing.T) {
	m := newMemory(1 << 20)
	m.WriteAt(bytes.Repeat([]byte{7}, page), 512<<10)
	_, dial := start(t, exportOf(m, true), nbd.Options{}, nbd.Security{})
	c := dial().enter("", true)
	for _, tt := range []struct {
		name   string
		flags  int
		off, n int
		chunks []uint16
	}{
		{"large", 0, 0, 1 << 20, []uint16{2, 1, 2}},
		{"large, in one piece", dontFragment, 0, 1 << 20, []uint16{1}},
		{"small and zero", 0, 0, page, []uint16{2}},
		{"small and zero, by a worker", 0, page, page, []uint16{2}},
		{"small and data", 0, 512 << 10, page, []uint16{1}},
	} {
		a := c.do(tt.flags, cmdRead, uint64(tt.off), uint32(tt.n), nil)
		if !bytes.Equal(a.data, m.data[tt.off:tt.off+tt.n]) {
			t.Errorf("%s: wrong bytes", tt.name)
		}
		if diff := cmp.Diff(tt.chunks, a.chunks); diff != "" {
			t.Errorf("%s: chunks (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestBlockStatus(t *testing.T) {
	m := newMemory(64 << 10)
	m.WriteAt(make([]byte, 2*page), 4*page)
	_, dial := start(t, exportOf(m, true), nbd.Options{}, nbd.Security{})
	c := dial().enter("disk", true)
	for _, tt := range []struct {
		flags  int
		off, n uint32
		want   []uint32
	}{
		{0, 0, 64 << 10, []uint32{4 * page, 3, 2 * page, 0, 10 * page, 3}},
		{one, 0, 64 << 10, []uint32{4 * page, 3}},
		{0, 5*page - 1, 2, []uint32{2, 0}},
		{one, 4 * page, page, []uint32{page, 0}},
	} {
		if diff := cmp.Diff(tt.want, c.do(tt.flags, cmdStatus, uint64(tt.off), tt.n, nil).status); diff != "" {
			t.Errorf("%d at %d, flags %d (-want +got):\n%s", tt.n, tt.off, tt.flags, diff)
		}
	}
}

func TestRefusedRequests(t *testing.T) {
	const size = 1<<20 + 100
	for _, tt := range []struct {
		name       string
		readOnly   bool
		flags, cmd int
		off        uint64
		n          uint32
		want       int
	}{
		{"read beyond the end", false, 0, cmdRead, size - 1, 2, eInval},
		{"read far beyond the end", false, 0, cmdRead, 1 << 63, 1 << 20, eInval},
		{"read whose end overflows", false, 0, cmdRead, 1<<64 - 1, 2, eInval},
		{"read of nothing", false, 0, cmdRead, 0, 0, eInval},
		{"read larger than allowed", false, 0, cmdRead, 0, 1<<19 + 1, eInval},
		{"write beyond the end", false, 0, cmdWrite, size - 1, 2, eNoSpace},
		{"write to what is read-only", true, 0, cmdWrite, 0, 2, ePerm},
		{"trim of what is read-only", true, 0, cmdTrim, 0, 2, ePerm},
		{"zeroes into what is read-only", true, 0, cmdZeroes, 0, 2, ePerm},
		{"zeroes beyond the end", false, 0, cmdZeroes, size, 1, eNoSpace},
		{"trim beyond the end", false, 0, cmdTrim, size, 1, eInval},
		{"cache beyond the end", false, 0, cmdCache, size, 1, eInval},
		{"status beyond the end", false, 0, cmdStatus, 0, size + 1, eInval},
		{"flush of a range", false, 0, cmdFlush, 0, 1, eInval},
		{"unknown command", false, 0, 8, 0, 1, eInval},
		{"far unknown command", false, 0, 65535, 0, 1, eInval},
		{"unknown flag", false, 1 << 5, cmdRead, 0, 1, eInval},
		{"another command's flag", false, noHole, cmdRead, 0, 1, eInval},
		{"fast zero of a write", false, fastZero, cmdWrite, 0, 2, eInval},
	} {
		t.Run(tt.name, func(t *testing.T) {
			opts := nbd.Options{MaxRequest: 512 << 10}
			_, dial := start(t, exportOf(newMemory(size), tt.readOnly), opts, nbd.Security{})
			c := dial().enter("disk", true)
			var payload []byte
			if tt.cmd == cmdWrite {
				payload = bytes.Repeat([]byte{1}, int(tt.n))
			}
			if a := c.do(tt.flags, tt.cmd, tt.off, tt.n, payload); a.errno != tt.want {
				t.Errorf("error %d, want %d", a.errno, tt.want)
			}
			if a := c.do(0, cmdRead, size-2, 2, nil); a.errno != 0 || !bytes.Equal(a.data, []byte{0, 0}) {
				t.Errorf("afterwards: error %d, % x", a.errno, a.data)
			}
		})
	}
}

func TestDisconnected(t *testing.T) {
	for what, p := range map[string][]byte{
		"a wrong magic number": be(uint32(0x25609514), make([]byte, 24)),
		"a write too large":    be(uint32(0x25609513), uint16(0), uint16(cmdWrite), uint64(1), uint64(0), uint32(1<<31)),
	} {
		_, dial := start(t, exportOf(newMemory(page), false), nbd.Options{}, nbd.Security{})
		c := dial().enter("disk", true)
		c.write(p)
		if err := c.ended(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestErrorsOfTheDevice(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want int
	}{
		{syscall.ENOSPC, eNoSpace},
		{errors.New("/secret/path: broken"), eIO},
		{blockio.ErrReadOnly, ePerm},
		{syscall.ENOMEM, 12},
	} {
		m := newMemory(1 << 20)
		m.WriteAt(bytes.Repeat([]byte{1}, 1<<20), 0)
		_, dial := start(t, exportOf(m, false), nbd.Options{}, nbd.Security{})
		for _, structured := range []bool{false, true} {
			m.fail = nil
			c := dial().enter("disk", structured)
			m.fail = tt.err
			if a := c.do(0, cmdWrite, 0, 3, []byte("abc")); a.errno != tt.want {
				t.Errorf("write, %v: error %d, want %d", tt.err, a.errno, tt.want)
			}
			for _, n := range []uint32{page, 1 << 20} {
				if a := c.do(0, cmdRead, 0, n, nil); a.errno != tt.want {
					t.Errorf("read %d, %v: error %d, want %d", n, tt.err, a.errno, tt.want)
				}
			}
			if a := c.do(0, cmdFlush, 0, 0, nil); a.errno != tt.want {
				t.Errorf("flush, %v: error %d, want %d", tt.err, a.errno, tt.want)
			}
			m.fail = nil
			if a := c.do(0, cmdRead, 0, page, nil); a.errno != 0 {
				t.Errorf("afterwards: error %d", a.errno)
			}
			c.Close()
		}
	}
}

func TestZeroesWithoutTheDevicesHelp(t *testing.T) {
	m := newMemory(1 << 20)
	m.noFast = true
	m.WriteAt(bytes.Repeat([]byte{9}, 1<<20), 0)
	_, dial := start(t, exportOf(m, false), nbd.Options{}, nbd.Security{})
	c := dial().enter("disk", true)
	if a := c.do(fastZero, cmdZeroes, 0, 1<<20, nil); a.errno != eNotSupport {
		t.Errorf("fast: error %d", a.errno)
	}
	if a := c.do(0, cmdTrim, 0, page, nil); a.errno != 0 {
		t.Errorf("trim: error %d", a.errno)
	}
	if a := c.do(0, cmdZeroes, 1, 1<<20-2, nil); a.errno != 0 {
		t.Errorf("zeroes: error %d", a.errno)
	}
	want := make([]byte, 1<<20)
	want[0], want[1<<20-1] = 9, 9
	if !bytes.Equal(m.data, want) {
		t.Error("wrong bytes")
	}
}

// TestManyInFlight sends requests without reading a reply; each is answered
// once.
func TestManyInFlight(t *testing.T) {
	m := newMemory(1 << 20)
	for i := range m.data {
		m.data[i] = byte(i / page)
	}
	_, dial := start(t, exportOf(m, false), nbd.Options{InFlight: 8, Workers: 3}, nbd.Security{})
	c := dial().enter("disk", true)
	const requests = 2000
	go func() {
		for i := range requests {
			p := be(uint32(0x25609513), uint16(0), uint16(cmdRead), uint64(i+1), uint64(i%256*page), uint32(page))
			if _, err := c.Write(p); err != nil {
				return
			}
		}
	}()
	var seen []uint64
	for range requests {
		p := c.read(20)
		cookie, body := binary.BigEndian.Uint64(p[8:]), c.read(int(binary.BigEndian.Uint32(p[16:])))
		seen = append(seen, cookie)
		if page := byte((cookie - 1) % 256); page != 0 && body[8] != page {
			t.Fatalf("request %d got page %d", cookie, body[8])
		}
	}
	slices.Sort(seen)
	if n := len(slices.Compact(seen)); n != requests {
		t.Errorf("%d requests answered", n)
	}
}

// TestFile serves a file, whose cached parts go to the socket by themselves.
func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk")
	want := make([]byte, 8<<20)
	for i := range want[:3<<20] {
		want[i] = byte(i * i >> 7)
	}
	copy(want[5<<20:], want[:1<<20])
	if err := os.WriteFile(path, want[:6<<20], 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 8<<20); err != nil {
		t.Fatal(err)
	}
	d, err := blockio.OpenDevice(path, blockio.DeviceOptions{Write: true})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, structured := range []bool{false, true} {
		c := listen(t, exportOf(d, false), nbd.Security{}).connect(t).enter("disk", structured)
		for _, r := range [][2]int{{0, 8 << 20}, {1, 1 << 20}, {2<<20 - 5, 2 << 20}, {0, page}, {7 << 20, page}, {8<<20 - 1, 1}} {
			a := c.do(0, cmdRead, uint64(r[0]), uint32(r[1]), nil)
			if a.errno != 0 || !bytes.Equal(a.data, want[r[0]:r[0]+r[1]]) {
				t.Errorf("read %d at %d: error %d or wrong bytes", r[1], r[0], a.errno)
			}
		}
		if a := c.do(0, cmdCache, 0, 1<<20, nil); a.errno != 0 {
			t.Errorf("cache: error %d", a.errno)
		}
		// A file that was cut behind the server's back ends the connection at
		// worst; it is never wrong bytes.
		if err := os.Truncate(path, 1<<20); err != nil {
			t.Fatal(err)
		}
		c.send(0, cmdRead, 512<<10, 1<<20, nil)
		if p := c.read(4); binary.BigEndian.Uint32(p) == 0 {
			t.Error("no reply")
		}
		c.Close()
		if err := os.WriteFile(path, want, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
