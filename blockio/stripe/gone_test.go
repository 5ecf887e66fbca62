package stripe_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/stripe"
)

// TestUnmountedShard removes an object while the directory of a shard is away, and
// crashes: the object stays removed when the directory is back.
func TestUnmountedShard(t *testing.T) {
	base := t.TempDir()
	dirs := []string{filepath.Join(base, "a"), filepath.Join(base, "b"), filepath.Join(base, "c")}
	open := func() *stripe.Volume {
		t.Helper()
		v, err := stripe.Open(t.Context(), dirVolumes(t, dirs), stripe.Options{Labels: dirs})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, dir := range dirs {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := stripe.Init(t.Context(), dirVolumes(t, dirs), stripe.Options{K: 1, M: 2}); err != nil {
		t.Fatal(err)
	}
	v := open()
	put(t, v, "seg/a", []byte("goes"))
	put(t, v, "seg/b", []byte("stays"))
	if err := errors.Join(os.Rename(dirs[2], dirs[2]+".away"), os.Mkdir(dirs[2], 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := v.Remove(t.Context(), "seg/a"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.RemoveAll(dirs[2]), os.Rename(dirs[2]+".away", dirs[2])); err != nil {
		t.Fatal(err)
	}
	v = open()
	if p, err := blockio.ReadObject(t.Context(), v, "seg/a", 10); !errors.Is(err, blockio.ErrNotFound) {
		t.Errorf("what was removed is there: %q, %v", p, err)
	}
	if p, err := blockio.ReadObject(t.Context(), v, "seg/b", 10); string(p) != "stays" {
		t.Errorf("what stays: %q, %v", p, err)
	}
}

func dirVolumes(t *testing.T, dirs []string) []blockio.Volume {
	t.Helper()
	vols := make([]blockio.Volume, len(dirs))
	for i, dir := range dirs {
		v, err := blockio.NewDirVolume(dir, blockio.DirVolumeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		vols[i] = v
	}
	return vols
}
