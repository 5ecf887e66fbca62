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
