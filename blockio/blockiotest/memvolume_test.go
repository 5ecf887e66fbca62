package blockiotest_test

import (
	"bytes"
	"errors"
	"slices"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
)

func TestMemVolume(t *testing.T) {
	t.Parallel()
	blockiotest.TestVolume(t, func(*testing.T) blockio.Volume { return blockiotest.NewMemVolume() })
}

func TestMemVolumeReplaces(t *testing.T) {
	t.Parallel()
	blockiotest.TestReplacer(t, func(*testing.T) blockiotest.ReplacingVolume { return blockiotest.NewMemVolume() })
}

func put(t *testing.T, v blockio.Volume, name string, p []byte) {
	t.Helper()
	if err := blockio.WriteObject(t.Context(), v, name, p); err != nil {
		t.Fatal(err)
	}
}

// read is the object, or nil when there is none.
func read(t *testing.T, v blockio.Volume, name string) []byte {
	t.Helper()
	p, err := blockio.ReadObject(t.Context(), v, name, 1<<30)
	if err != nil && !errors.Is(err, blockio.ErrNotFound) {
		t.Fatal(err)
	}
	return p
}

// TestCommitSteps holds the steps of a commit and of a removal.
func TestCommitSteps(t *testing.T) {
	t.Parallel()
	v := blockiotest.NewMemVolume()
	var got []string
	v.OnChange(func(op blockiotest.Op) { got = append(got, op.Kind.String()+" "+op.Name) })
	put(t, v, "seg/a", []byte("x"))
	put(t, v, "seg/b", []byte("y"))
	if err := v.Remove(t.Context(), "seg/a"); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"create tmp/w1", "write tmp/w1", "truncate tmp/w1", "sync tmp/w1",
		"mkdir seg", "syncdir .", "rename seg/a", "syncdir seg",
		"create tmp/w2", "write tmp/w2", "truncate tmp/w2", "sync tmp/w2",
		"rename seg/b", "syncdir seg",
		"remove seg/a", "syncdir seg",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// unsynced is a volume whose object seg/a of five blocks is committed with no
// sync at all.
func unsynced(t *testing.T) (*blockiotest.MemVolume, []byte) {
	t.Helper()
	v := blockiotest.NewMemVolume()
	put(t, v, "seg/first", nil) // so that the kind's directory is durable
	v.DropSyncs(func(blockiotest.Op) bool { return true })
	p := bytes.Repeat([]byte{1}, 5*blockio.BlockSize)
	put(t, v, "seg/a", p)
	return v, p
}

func TestCrashFates(t *testing.T) {
	t.Parallel()
	v, p := unsynced(t)
	for _, c := range []struct {
		crash blockiotest.Crash
		there bool
		want  []byte
	}{
		{blockiotest.Crash{Data: blockiotest.Lost, Names: blockiotest.Lost}, false, nil},
		{blockiotest.Crash{Data: blockiotest.Kept, Names: blockiotest.Lost}, false, nil},
		{blockiotest.Crash{Data: blockiotest.Lost, Names: blockiotest.Kept}, true, nil},
		{blockiotest.Crash{Data: blockiotest.Kept, Names: blockiotest.Kept}, true, p},
	} {
		clone := v.CrashClone(c.crash)
		o, err := clone.Open(t.Context(), "seg/a")
		if (err == nil) != c.there {
			t.Errorf("%v: open: %v", c.crash, err)
			continue
		}
		if !c.there {
			continue
		}
		if err := o.Close(); err != nil {
			t.Error(err)
		}
		if got := read(t, clone, "seg/a"); !bytes.Equal(got, c.want) {
			t.Errorf("%v: %d bytes, want %d", c.crash, len(got), len(c.want))
		}
	}
	if got := read(t, v, "seg/a"); !bytes.Equal(got, p) {
		t.Error("a crash of a clone reached the volume")
	}
}

// TestCrashTorn shows that tearing keeps some blocks and loses others, in many
// ways, and one seed always alike.
func TestCrashTorn(t *testing.T) {
	t.Parallel()
	v, p := unsynced(t)
	shapes := map[string]bool{}
	var whole, lost, mixed int
	for seed := range uint64(100) {
		c := blockiotest.Crash{Data: blockiotest.Torn, Names: blockiotest.Kept, Seed: seed}
		got := read(t, v.CrashClone(c), "seg/a")
		if again := read(t, v.CrashClone(c), "seg/a"); !bytes.Equal(got, again) {
			t.Fatalf("seed %d gives two results", seed)
		}
		shape := ""
		for block := range slices.Chunk(got, blockio.BlockSize) {
			switch {
			case blockio.IsZero(block):
				shape += "0"
			case bytes.Equal(block, p[:len(block)]):
				shape += "1"
			default:
				t.Fatalf("seed %d tears inside a block", seed)
			}
		}
		shapes[shape] = true
		switch {
		case bytes.Equal(got, p):
			whole++
		case blockio.IsZero(got):
			lost++
		default:
			mixed++
		}
	}
	if len(shapes) < 20 || mixed == 0 || lost == 0 {
		t.Errorf("%d shapes: %d whole, %d lost, %d mixed", len(shapes), whole, lost, mixed)
	}
}

// TestCrashSyncedIsSafe shows that what was synced survives every crash.
func TestCrashSyncedIsSafe(t *testing.T) {
	t.Parallel()
	v := blockiotest.NewMemVolume()
	put(t, v, "seg/a", []byte("x"))
	put(t, v, "seg/b", []byte("y"))
	if err := v.Remove(t.Context(), "seg/b"); err != nil {
		t.Fatal(err)
	}
	n := 0
	for c, clone := range v.CrashClones() {
		n++
		if got := read(t, clone, "seg/a"); string(got) != "x" {
			t.Errorf("%v: %q", c, got)
		}
		if got := read(t, clone, "seg/b"); got != nil {
			t.Errorf("%v: what was removed is back", c)
		}
		put(t, clone, "seg/b", []byte("again"))
	}
	if n < 8 {
		t.Errorf("only %d crashes", n)
	}
}

// TestCrashReplace shows that a replaced object is the old or the new one.
func TestCrashReplace(t *testing.T) {
	t.Parallel()
	v := blockiotest.NewMemVolume()
	old, new := bytes.Repeat([]byte{1}, 10_000), bytes.Repeat([]byte{2}, 20_000)
	put(t, v, "seg/a", old)
	acknowledged := false
	check := func(op blockiotest.Op) {
		for c, clone := range v.CrashClones() {
			got := read(t, clone, "seg/a")
			if !bytes.Equal(got, new) && (acknowledged || !bytes.Equal(got, old)) {
				t.Errorf("before %v, %v: %d bytes, neither old nor new", op, c, len(got))
			}
		}
	}
	v.OnChange(check)
	w, err := v.Replace(t.Context(), "seg/a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.WriteAt(new, 0); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(t.Context(), int64(len(new))); err != nil {
		t.Fatal(err)
	}
	acknowledged = true
	check(blockiotest.Op{})
}

func TestFaultKinds(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	p := bytes.Repeat([]byte{1}, 8192)

	v := blockiotest.NewMemVolume()
	v.Inject(blockiotest.Fault{Ops: blockiotest.OpWrite, N: 1, Kind: blockiotest.FaultFlip})
	put(t, v, "seg/a", p)
	if got := read(t, v, "seg/a"); len(got) != len(p) || bytes.Equal(got, p) {
		t.Error("nothing was turned over on the way in")
	}

	v = blockiotest.NewMemVolume()
	put(t, v, "seg/a", p)
	v.Inject(blockiotest.Fault{Ops: blockiotest.OpRead, N: 1, Kind: blockiotest.FaultFlip})
	if bytes.Equal(read(t, v, "seg/a"), p) {
		t.Error("nothing was turned over on the way out")
	}
	if !bytes.Equal(read(t, v, "seg/a"), p) {
		t.Error("the fault stayed")
	}

	v.Inject(blockiotest.Fault{Ops: blockiotest.OpRead, N: 2, Kind: blockiotest.FaultShort, Err: syscall.EIO})
	read(t, v, "seg/a")
	o, err := v.Open(ctx, "seg/a")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := o.ReadAt(make([]byte, 8192), 0); n != 4096 || !errors.Is(err, syscall.EIO) {
		t.Errorf("short read: %d, %v", n, err)
	}
	if err := o.Close(); err != nil {
		t.Error(err)
	}

	v.FailAt(1, nil)
	if _, err := v.Create(ctx, "seg/b"); !errors.Is(err, blockiotest.ErrInjected) {
		t.Errorf("create: %v", err)
	}

	v.Inject(blockiotest.NoSpace(2))
	for range 2 {
		if err := blockio.WriteObject(ctx, v, "seg/b", p); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("write to a full disk: %v", err)
		}
	}
	if err := v.Remove(ctx, "seg/a"); err != nil {
		t.Errorf("remove on a full disk: %v", err)
	}
	v.ClearFaults()
	put(t, v, "seg/b", p)
	if n := v.OpenFiles(); n != 0 {
		t.Errorf("%d files left open", n)
	}
}
