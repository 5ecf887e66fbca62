package blockio_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/blockmill/blockmill/blockio"
)

// TestReleaseMapped releases a mapping with written bytes and leaves those beside it
// alone: one of another directory, one that is private, one that is not named.
func TestReleaseMapped(t *testing.T) {
	const size = 8 << 20
	dir := t.TempDir()
	released := mapFile(t, filepath.Join(dir, "a b"), size, unix.MAP_SHARED)
	private := mapFile(t, filepath.Join(dir, "private"), size, unix.MAP_PRIVATE)
	unnamed := mapFile(t, filepath.Join(dir, "b"), size, unix.MAP_SHARED)
	other := mapFile(t, filepath.Join(t.TempDir(), "a b"), size, unix.MAP_SHARED)
	all := [][]byte{released, private, unnamed, other}
	for i, m := range all {
		for at := range m {
			m[at] = byte(i + 1)
		}
	}
	before, err := blockio.ResidentFiles()
	if err != nil {
		t.Fatal(err)
	}
	if err := blockio.ReleaseMapped(dir, map[string]bool{"a b": true, "private": true}); err != nil {
		t.Fatal(err)
	}
	after, err := blockio.ResidentFiles()
	if err != nil {
		t.Fatal(err)
	}
	// The test's program may be mapped in further meanwhile.
	if gone := before - after; gone < size/2 || gone > size*3/2 {
		t.Errorf("%d bytes less are resident, want about %d", gone, size)
	}
	for i, m := range all {
		if !bytes.Equal(m, bytes.Repeat([]byte{byte(i + 1)}, size)) {
			t.Errorf("mapping %d has other bytes than were written", i)
		}
	}
}

// mapFile maps a new file.
func mapFile(t *testing.T, name string, size int, how int) []byte {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(int64(size)); err != nil {
		t.Fatal(err)
	}
	m, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, how)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Munmap(m); err != nil {
			t.Error(err)
		}
	})
	return m
}
