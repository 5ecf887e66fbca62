package blockio_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/blockmill/blockmill/blockio"
)

func openPattern(t *testing.T, n int) (*blockio.Device, []byte) {
	t.Helper()
	want := bytes.Repeat([]byte("0123456789abcde\n"), n/16)
	path := filepath.Join(t.TempDir(), "device")
	if err := os.WriteFile(path, want, 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := blockio.OpenDevice(path, blockio.DeviceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d, want
}

func TestReadNoWait(t *testing.T) {
	d, want := openPattern(t, 64<<10)
	p := make([]byte, 4097)
	if !d.ReadNoWait(p, 100) {
		t.Fatal("a file just written is not in the page cache")
	}
	if !bytes.Equal(p, want[100:100+len(p)]) {
		t.Error("wrong bytes")
	}
	for _, off := range []int64{-1, d.Size() - 1, d.Size(), 1 << 62} {
		if d.ReadNoWait(p, off) {
			t.Errorf("read at %d, beyond the end, said all is read", off)
		}
	}
	d.Close()
	if d.ReadNoWait(p, 0) {
		t.Error("read a closed device")
	}
}

func TestSendTo(t *testing.T) {
	d, want := openPattern(t, 64<<10)
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		defer unix.Close(fd)
	}
	var got []byte
	p := make([]byte, 16<<10)
	for off := int64(3); off < d.Size(); {
		n, err := d.SendTo(fds[0], off, d.Size())
		off += n
		if err != nil && !errors.Is(err, unix.EAGAIN) {
			t.Fatal(err)
		}
		for {
			n, err := unix.Read(fds[1], p)
			if err != nil {
				break
			}
			got = append(got, p[:n]...)
		}
	}
	if !bytes.Equal(got, want[3:]) {
		t.Errorf("%d bytes arrived, other than the %d sent", len(got), len(want)-3)
	}
	if n, err := d.SendTo(fds[0], d.Size(), 1); n != 0 || err != nil {
		t.Errorf("at the end: %d, %v", n, err)
	}
	if err := d.Prefetch(0, d.Size()); err != nil {
		t.Error(err)
	}
}

func TestWriteNoWait(t *testing.T) {
	path := filepath.Join(t.TempDir(), "device")
	if err := os.WriteFile(path, make([]byte, 64<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := blockio.OpenDevice(path, blockio.DeviceOptions{Write: true})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	want := make([]byte, 64<<10)
	for _, tt := range []struct {
		off, n int64
		done   bool
	}{
		{4096, 8192, true},
		{0, 4096, true},
		{1, 4096, false},
		{0, 4095, false},
		{60 << 10, 8192, false},
		{-4096, 4096, false},
	} {
		p := bytes.Repeat([]byte{byte(tt.n)<<4 | byte(tt.off>>12) | 1}, int(tt.n))
		done, err := d.WriteNoWait(p, tt.off)
		if done != tt.done || err != nil {
			t.Errorf("%d at %d: %v, %v", tt.n, tt.off, done, err)
		}
		if done {
			copy(want[tt.off:], p)
		}
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("wrong bytes, %v", err)
	}
	// What has gathered is for WriteAt, which starts its write-back.
	for i := range 10 << 20 / 4096 {
		done, err := d.WriteNoWait(want[:4096], int64(i%16)*4096)
		if err != nil {
			t.Fatal(err)
		}
		if !done {
			return
		}
	}
	t.Error("10 MiB gathered without write-back")
}
