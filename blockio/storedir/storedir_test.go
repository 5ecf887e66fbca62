package storedir_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/storedir"
	"github.com/blockmill/blockmill/blockio/stripe"
)

// newStore makes a store of 2+1 shards beside it.
func newStore(t *testing.T) (dir string, shape storedir.Shape) {
	t.Helper()
	base := t.TempDir()
	shape = storedir.Shape{Data: 2, Parity: 1, SharedDevices: true}
	for _, name := range []string{"a", "b", "c"} {
		shape.Shards = append(shape.Shards, filepath.Join(base, name))
	}
	dir = filepath.Join(base, "S")
	if err := storedir.Init(t.Context(), dir, shape); err != nil {
		t.Fatal(err)
	}
	return dir, shape
}

func open(t *testing.T, dir string, opts storedir.Options) *storedir.Dir {
	t.Helper()
	d, err := storedir.Open(t.Context(), dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
	return d
}

func statuses(d *storedir.Dir) []string {
	var all []string
	for _, s := range d.Volume.Shards() {
		all = append(all, s.Status.String())
	}
	return all
}

// empty makes a directory empty.
func empty(t *testing.T, dir string) {
	t.Helper()
	if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700)); err != nil {
		t.Fatal(err)
	}
}

func TestInitAgain(t *testing.T) {
	for name, begun := range map[string]int{"no shard made": 3, "some shards made": 1} {
		t.Run(name, func(t *testing.T) {
			dir, shape := newStore(t)
			for _, s := range shape.Shards[:begun] {
				empty(t, s)
			}
			if err := storedir.Init(t.Context(), dir, shape); err != nil {
				t.Fatal(err)
			}
			d := open(t, dir, storedir.Options{Fill: true})
			if err := blockio.WriteObject(t.Context(), d.Volume, "seg/a", []byte("x")); err != nil {
				t.Error(err)
			}
		})
	}
	dir, shape := newStore(t)
	shape.Shards[0], shape.Shards[1] = shape.Shards[1], shape.Shards[0]
	if err := storedir.Init(t.Context(), dir, shape); !errors.Is(err, storedir.ErrExists) {
		t.Errorf("init in another order: %v, want ErrExists", err)
	}
}

func TestInitRefuses(t *testing.T) {
	base := t.TempDir()
	full := filepath.Join(base, "full")
	if err := errors.Join(os.Mkdir(full, 0o700), os.WriteFile(filepath.Join(full, "x"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	a, b := filepath.Join(base, "a"), filepath.Join(base, "b")
	for name, c := range map[string]struct {
		shape storedir.Shape
		want  error
	}{
		"too few":   {storedir.Shape{Data: 2, Parity: 1, Shards: []string{a, b}}, storedir.ErrShards},
		"twice":     {storedir.Shape{Data: 2, Shards: []string{a, a}, SharedDevices: true}, storedir.ErrShards},
		"one disk":  {storedir.Shape{Data: 2, Shards: []string{a, b}}, storedir.ErrSharedDevice},
		"not empty": {storedir.Shape{Data: 2, Shards: []string{a, full}, SharedDevices: true}, storedir.ErrNotEmpty},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "S")
			if err := storedir.Init(t.Context(), dir, c.shape); !errors.Is(err, c.want) {
				t.Errorf("init: %v, want %v", err, c.want)
			}
			if _, err := storedir.Open(t.Context(), dir, storedir.Options{}); err == nil {
				t.Error("there is a store nevertheless")
			}
		})
	}
}

// TestEmptyShard has a disk that is not mounted: nothing is written to what is
// there in its place until somebody asks for it.
func TestEmptyShard(t *testing.T) {
	dir, shape := newStore(t)
	empty(t, shape.Shards[1])
	d, err := storedir.Open(t.Context(), dir, storedir.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"ok", "missing", "ok"}, statuses(d)); diff != "" {
		t.Error(diff)
	}
	if err := d.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(shape.Shards[1]); err != nil || len(left) > 0 {
		t.Errorf("the directory has %v, %v", left, err)
	}
	d = open(t, dir, storedir.Options{Fill: true})
	if r, err := d.Volume.Heal(t.Context(), stripe.HealOptions{}); err != nil || r.Left > 0 {
		t.Errorf("heal: %+v, %v", r, err)
	}
	if diff := cmp.Diff([]string{"ok", "ok", "ok"}, statuses(d)); diff != "" {
		t.Error(diff)
	}
}

// TestLocked has a second description of the same shards.
func TestLocked(t *testing.T) {
	dir, _ := newStore(t)
	other := t.TempDir()
	p, err := os.ReadFile(filepath.Join(dir, "layout"))
	if err == nil {
		err = os.WriteFile(filepath.Join(other, "layout"), p, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	open(t, dir, storedir.Options{})
	if _, err := storedir.Open(t.Context(), other, storedir.Options{}); !errors.Is(err, blockio.ErrLocked) {
		t.Errorf("open by another description: %v, want ErrLocked", err)
	}
}

func TestGuarded(t *testing.T) {
	dir, _ := newStore(t)
	d := open(t, dir, storedir.Options{})
	if err := blockio.WriteObject(t.Context(), d.Guarded(0), "seg/a", []byte("x")); err != nil {
		t.Error(err)
	}
	v := d.Guarded(1 << 60)
	if err := blockio.WriteObject(t.Context(), v, "seg/b", []byte("x")); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("write: %v, want ENOSPC", err)
	}
	if p, err := blockio.ReadObject(t.Context(), v, "seg/a", 10); string(p) != "x" {
		t.Errorf("read: %q, %v", p, err)
	}
	if err := v.Remove(t.Context(), "seg/a"); err != nil {
		t.Error(err)
	}
}

// Shards with a journal have what was written when they are opened after an end
// that was none, and no journal after one that was.
func TestJournal(t *testing.T) {
	dir, shape := newStore(t)
	d, err := storedir.Open(t.Context(), dir, storedir.Options{Journal: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := blockio.WriteObject(t.Context(), d.Volume, "rec/a", []byte("x")); err != nil {
		t.Fatal(err)
	}
	journals := func() (n int) {
		for _, s := range shape.Shards {
			if p, err := os.ReadFile(filepath.Join(s, "journal")); err == nil && bytes.Contains(p, []byte("rec/a")) {
				n++
			}
		}
		return n
	}
	if n := journals(); n != len(shape.Shards) {
		t.Errorf("%d journals have the object", n)
	}
	var lost []string // by a crash, which leaves the journals
	for _, s := range shape.Shards[:2] {
		kept, err := os.ReadFile(filepath.Join(s, "journal"))
		if err != nil {
			t.Fatal(err)
		}
		lost = append(lost, string(kept))
	}
	if err := d.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := journals(); n != 0 {
		t.Errorf("%d journals are left", n)
	}
	for i, s := range shape.Shards[:2] {
		if err := errors.Join(os.RemoveAll(filepath.Join(s, "rec")), os.WriteFile(filepath.Join(s, "journal"), []byte(lost[i]), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	d = open(t, dir, storedir.Options{})
	if got, err := blockio.ReadObject(t.Context(), d.Volume, "rec/a", 10); string(got) != "x" {
		t.Errorf("after a crash: %q, %v", got, err)
	}
}

// What a start does for journals that nobody closed is in the log, a line a shard.
func TestReplayIsLogged(t *testing.T) {
	dir, shape := newStore(t)
	var log bytes.Buffer
	begin := func() *storedir.Dir {
		d, err := storedir.Open(t.Context(), dir, storedir.Options{Journal: true, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	end := func(d *storedir.Dir) {
		if err := d.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	d := begin()
	if err := blockio.WriteObject(t.Context(), d.Volume, "rec/a", []byte("small")); err != nil {
		t.Fatal(err)
	}
	left := map[string][]byte{} // as they are without a close
	for _, shard := range shape.Shards[:2] {
		name := filepath.Join(shard, "journal")
		p, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		left[name] = p
	}
	end(d)
	end(begin())
	if log.Len() > 0 {
		t.Errorf("without a journal: %s", &log)
	}
	for name, p := range left {
		if err := os.WriteFile(name, p, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	end(begin())
	if n := strings.Count(log.String(), `msg="the journal of a shard was replayed"`); n != len(left) {
		t.Errorf("%d lines of %d journals: %s", n, len(left), &log)
	}
	for _, want := range []string{"shard=" + shape.Shards[0], "shard=" + shape.Shards[1], "entries=", "objects=", "removals=", "bytes=", "took="} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %s in %s", want, &log)
		}
	}
}

func TestKept(t *testing.T) {
	for _, tt := range []struct{ reserve, total, want int64 }{
		{storedir.AutoReserve, 0, 0},
		{storedir.AutoReserve, 100 << 20, 10 << 20},
		{storedir.AutoReserve, 1 << 30, 64 << 20},
		{storedir.AutoReserve, 1000 << 30, 10 << 30},
		{0, 1 << 30, 0},
		{1 << 40, 1 << 30, 1 << 40},
	} {
		if got := storedir.Kept(tt.reserve, tt.total); got != tt.want {
			t.Errorf("a reserve of %d keeps %d of %d bytes, want %d", tt.reserve, got, tt.total, tt.want)
		}
	}
}
