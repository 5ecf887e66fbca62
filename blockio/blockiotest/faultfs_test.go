package blockiotest_test

import (
	"bytes"
	"errors"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
)

// faulty is a volume in a directory whose calls fail on demand.
func faulty(t *testing.T) (*blockio.DirVolume, *blockiotest.FaultFS) {
	t.Helper()
	fsys := blockiotest.NewFaultFS(blockio.NewDirFileSystem(t.TempDir(), blockio.DirVolumeOptions{}), nil)
	v, err := blockio.NewVolumeOn("faulty", fsys)
	if err != nil {
		t.Fatal(err)
	}
	return v, fsys
}

func TestFaultFS(t *testing.T) {
	blockiotest.TestVolume(t, func(t *testing.T) blockio.Volume {
		v, _ := faulty(t)
		return v
	})
}

// Every call can be made to fail: what fails leaves the object absent, what does
// not leaves it whole.
func TestFaultFSEveryCall(t *testing.T) {
	p := bytes.Repeat([]byte("contents "), 4000)
	for n := 1; ; n++ {
		v, fsys := faulty(t)
		before := fsys.Count(blockiotest.OpChanges)
		fsys.Inject(blockiotest.Fault{N: n, Err: syscall.ENOSPC})
		err := blockio.WriteObject(t.Context(), v, "kind/a", p)
		if fsys.Count(blockiotest.OpChanges)-before < n {
			if err != nil || n < 6 {
				t.Errorf("no fault at call %d, error %v", n, err)
			}
			return
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("call %d: error %v", n, err)
		}
		if _, err := v.Open(t.Context(), "kind/a"); !errors.Is(err, blockio.ErrNotFound) {
			t.Errorf("call %d: open what was not written: %v", n, err)
		}
	}
}

func TestFaultFSBytes(t *testing.T) {
	p := bytes.Repeat([]byte("contents "), 4000)
	for _, c := range []struct {
		spec  string
		write bool
	}{{"ops=write kind=flip", true}, {"ops=read kind=flip", false}} {
		v, fsys := faulty(t)
		spec, err := blockiotest.ParseSpec(c.spec)
		if err != nil {
			t.Fatal(err)
		}
		fsys.Inject(spec.Fault)
		if err := blockio.WriteObject(t.Context(), v, "kind/a", p); err != nil {
			t.Fatal(err)
		}
		for try := range 2 {
			got, err := blockio.ReadObject(t.Context(), v, "kind/a", 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			if wrong := c.write || try == 0; bytes.Equal(got, p) == wrong {
				t.Errorf("%s: read %d is wrong: %t", c.spec, try, !wrong)
			}
		}
	}
	v, fsys := faulty(t)
	spec, err := blockiotest.ParseSpec("shard=2 ops=write|read match=tmp/ kind=short err=EIO")
	if err != nil || spec.Shard != 2 {
		t.Fatalf("shard %d, error %v", spec.Shard, err)
	}
	fsys.Inject(spec.Fault)
	w, err := v.Create(t.Context(), "kind/a")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := w.WriteAt(make([]byte, 32<<10), 0); n != 16<<10 || !errors.Is(err, syscall.EIO) {
		t.Errorf("a short write of 32 KiB writes %d, error %v", n, err)
	}
	if err := w.Abort(); err != nil {
		t.Error(err)
	}
}

// A delayed call waits, and the others do not wait for it.
func TestFaultDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := blockiotest.NewMemVolume()
		spec, err := blockiotest.ParseSpec("ops=sync|create kind=delay delay=3s sticky")
		if err != nil {
			t.Fatal(err)
		}
		v.Inject(spec.Fault)
		start := time.Now()
		done := make(chan error)
		go func() { done <- blockio.WriteObject(t.Context(), v, "kind/a", []byte("x")) }()
		synctest.Wait()
		if _, err := v.Open(t.Context(), "kind/a"); !errors.Is(err, blockio.ErrNotFound) || time.Since(start) != 0 {
			t.Errorf("beside a delayed call: %v after %v", err, time.Since(start))
		}
		if err := <-done; err != nil || time.Since(start) != 6*time.Second {
			t.Errorf("delayed by %v, error %v", time.Since(start), err)
		}
	})
}

func TestParseSpec(t *testing.T) {
	for _, text := range []string{"ops=writes", "n=x", "kind=loud", "err=EX", "delay=1", "shard=", "more"} {
		if s, err := blockiotest.ParseSpec(text); err == nil {
			t.Errorf("%q is %+v", text, s)
		}
	}
}
