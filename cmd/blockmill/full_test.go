package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestFullFileSystem has real commands run on a real file system with too few bytes
// free, in small steps, so that every write is the first that there is no room for:
// they say so, what is kept is read and removed all the same, and when there is
// room again all is sound. One amount at random is tried of each, or all when
// BLOCKMILL_EXHAUSTIVE is set.
func TestFullFileSystem(t *testing.T) {
	if os.Geteuid() != 0 && os.Getenv("CI") != "true" {
		t.Skip("mounting takes root")
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	base := newFaulty(t, filepath.Join(t.TempDir(), "base"), 2, 1)
	for _, c := range []struct {
		act  []string
		room int64 // more than the act needs
	}{
		{[]string{"import", "-f", "raw", "--reserve", "0", "--name", "new", "NEW"}, 8 << 20},
		{[]string{"gc"}, 4 << 20},
		{[]string{"scrub", "--repair", "--full"}, 4 << 20},
		{[]string{"rm", "spare"}, 256 << 10},
	} {
		t.Run(c.act[0], func(t *testing.T) {
			f := filling{base: base, act: c.act, outs: t.TempDir()}
			f.dir = filepath.Join(f.outs, "small")
			mountSmall(t, f.dir, "size=48m")
			if os.Getenv(exhaustiveVariable) == "" {
				f.run(t, random.Int64N(c.room))
				return
			}
			refused, runs := 0, 0
			for left := int64(0); left <= c.room; left += c.room / 256 {
				if f.run(t, left) != nil {
					refused++
				}
				runs++
			}
			t.Logf("%d runs, %d refused", runs, refused)
		})
	}
}

// filling runs a command while a file system is full.
type filling struct {
	base *faulty
	act  []string
	dir  string // of the file system
	outs string // a directory beside it
}

// run runs the command with so many bytes left, and gives its error.
func (f *filling) run(t *testing.T, left int64) error {
	t.Helper()
	c := f.base.link(t, filepath.Join(f.dir, "copy"))
	c.outs = f.outs
	if f.act[0] == "scrub" {
		c.harm(t)
	}
	rest := filepath.Join(f.dir, "rest")
	if err := leave(rest, left); err != nil {
		t.Fatal(err)
	}
	what := fmt.Sprintf("%s with %d bytes left", f.act[0], left)
	stderr, err := c.run(t, "", f.act...)
	if err != nil && (!strings.Contains(stderr, "no space left on device") || strings.Contains(stderr, "goroutine ")) {
		t.Fatalf("%s: %v: %s", what, err, stderr)
	}
	lines := [][]string{{"export", "kept", "OUT"}, {"rm", "spare"}}
	harmed := f.act[0] == "scrub" // two shards of 2+1 are too few for a change
	if harmed || f.act[0] == "rm" && err == nil {
		lines = lines[:1]
	}
	for _, a := range c.ask(t, lines...) {
		if a.err != nil {
			t.Fatalf("%s, and still full: %v", what, a.err)
		}
	}
	c.wantSame(t, what, "OUT", c.kept)
	if err := os.Remove(rest); err != nil {
		t.Fatal(err)
	}
	c.wantSound(t, what, "rm", !harmed)
	if f.act[0] == "import" && err == nil {
		for _, a := range c.ask(t, []string{"export", "new", "OUT"}) {
			if a.err != nil {
				t.Fatalf("%s: %v", what, a.err)
			}
		}
		c.wantSame(t, what, "OUT", c.fresh)
	}
	if err := os.RemoveAll(c.dir); err != nil {
		t.Fatal(err)
	}
	return err
}

// leave makes a file that leaves so many bytes of its file system.
func leave(path string, left int64) error {
	var st unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(path), &st); err != nil {
		return err
	}
	return os.WriteFile(path, make([]byte, max(0, int64(st.Bavail)*st.Bsize-left)), 0o600)
}
