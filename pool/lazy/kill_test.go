package lazy_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/pool/lazy"
)

const (
	killDirEnv   = "BLOCKMILL_LAZY_KILL_DIR"
	killFirstEnv = "BLOCKMILL_LAZY_KILL_FIRST"
	killSize     = 2 << 20
	killPages    = killSize / page
)

// TestMain makes the test binary the victim when TestKill runs it.
func TestMain(m *testing.M) {
	if dir := os.Getenv(killDirEnv); dir != "" {
		first, err := strconv.ParseUint(os.Getenv(killFirstEnv), 10, 64)
		if err == nil {
			err = victim(dir, first)
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// pageOf is the page that a change concerns.
func pageOf(seq uint64) int64 { return rand.New(rand.NewPCG(seq, 9)).Int64N(killPages) }

// stamp is what a change writes to its page.
func stamp(seq uint64) []byte {
	return bytes.Repeat(binary.LittleEndian.AppendUint64(nil, seq|1<<63), page/8)
}

func openFiles(dir string) (d *lazy.Disk, files []*blockio.Device, err error) {
	for _, name := range []string{"data", "map"} {
		dev, err := blockio.OpenDevice(filepath.Join(dir, name), blockio.DeviceOptions{Write: true, Create: true})
		if err != nil {
			return nil, nil, err
		}
		files = append(files, dev)
	}
	d, err = lazy.Open(lazy.Files{Data: files[0], Map: files[1]}, newBase(killSize, 7), identity, lazy.Options{})
	return d, files, err
}

// victim changes pages for ever, hydrates beside that, and says up to which
// change all is durable.
func victim(dir string, first uint64) error {
	d, _, err := openFiles(dir)
	if err != nil {
		return err
	}
	hydrated := make(chan error, 1)
	go func() { hydrated <- d.Hydrate(context.Background()) }()
	for seq := first; ; seq++ {
		at := pageOf(seq) * page
		p := stamp(seq)
		if seq%3 == 0 { // in parts of the page, which the base or an older change completes
			if _, err := d.WriteAt(p[:1000], at); err != nil {
				return err
			}
			p, at = p[1000:], at+1000
		}
		if _, err := d.WriteAt(p, at); err != nil {
			return err
		}
		if seq%16 == 0 {
			if err := d.Sync(); err != nil {
				return err
			}
			fmt.Println(seq)
		}
	}
}

// TestKill kills a process that uses a disk, again and again. What it had said
// to be durable is there, and hydration goes on to its end.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	for name, size := range map[string]int64{"data": killSize, "map": lazy.MapSize(killSize)} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(filepath.Join(dir, name), size); err != nil {
			t.Fatal(err)
		}
	}
	m, err := os.OpenFile(filepath.Join(dir, "map"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := lazy.Format(m, killSize, identity, killSize); err != nil {
		t.Fatal(err)
	}
	m.Close()
	durable := make([]uint64, killPages) // the last change of each page that must be there
	first, b := uint64(1), newBase(killSize, 7)
	rng := rand.New(rand.NewPCG(4, 4))
	for range 5 {
		first = kill(t, dir, first, durable, time.Duration(rng.IntN(100))*time.Millisecond)
		d, files, err := openFiles(dir)
		if err != nil {
			t.Fatal(err)
		}
		p := make([]byte, killSize)
		if _, err := d.ReadAt(p, 0); err != nil {
			t.Fatal(err)
		}
		for at := range int64(killPages) {
			checkPage(t, at, p[at*page:(at+1)*page], durable[at], b.data[at*page:(at+1)*page])
		}
		for _, f := range files {
			f.Close()
		}
	}
	d, files, err := openFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	want, got := make([]byte, killSize), make([]byte, killSize)
	d.ReadAt(want, 0)
	if err := d.Hydrate(t.Context()); err != nil || !d.Whole() {
		t.Fatalf("hydration to the end: %v", err)
	}
	if files[0].ReadAt(got, 0); !bytes.Equal(got, want) {
		t.Error("the data file is not the disk")
	}
	for _, f := range files {
		f.Close()
	}
}

// kill runs a victim for a while and returns the first change of the next one.
func kill(t *testing.T, dir string, first uint64, durable []uint64, after time.Duration) uint64 {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), killDirEnv+"="+dir, killFirstEnv+"="+strconv.FormatUint(first, 10))
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var timer *time.Timer
	last := first - 1
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if timer == nil { // once it is on its way
			timer = time.AfterFunc(after, func() { cmd.Process.Kill() })
		}
		if last, err = strconv.ParseUint(lines.Text(), 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Wait(); err == nil || said.Len() > 0 {
		t.Fatalf("the victim ended by itself: %v, %s", err, said.String())
	}
	for seq := first; seq <= last; seq++ {
		durable[pageOf(seq)] = seq
	}
	// What the victim may have done beyond is newer than all that is durable.
	return last + 1<<20
}

// checkPage checks that a page holds its last durable change or a newer one,
// or, part by part, both when a change was cut short.
func checkPage(t *testing.T, at int64, p []byte, durable uint64, base []byte) {
	t.Helper()
	for _, part := range [][2]int{{0, 1000}, {1000, page}} {
		got := binary.LittleEndian.Uint64(p[part[0]:])
		if durable == 0 && bytes.Equal(p[part[0]:part[1]], base[part[0]:part[1]]) {
			continue
		}
		seq := got &^ (1 << 63)
		if got>>63 != 1 || seq < durable || pageOf(seq) != at || !bytes.Equal(p[part[0]:part[1]], stamp(seq)[part[0]:part[1]]) {
			t.Fatalf("page %d from %d: % x…, at least change %d", at, part[0], p[part[0]:part[0]+8], durable)
		}
	}
}
