package provision_test

import (
	"path/filepath"
	"testing"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/pool/provision"
)

// A golden base is dense, and in so few extents that clones are quick.
func TestBaseIsDense(t *testing.T) {
	t.Parallel()
	src := guest(t, "48M")
	for _, f := range filesystems[1:] {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			m := put(t, s, src)
			dir := f.dir(t)
			d := openDir(t, provision.Options{Path: dir, Store: s})
			if _, err := d.Make(t.Context(), provision.Request{Manifest: m, Method: provision.Overlay}); err != nil {
				t.Fatal(err)
			}
			dev, err := blockio.OpenDevice(filepath.Join(dir, "bases", m.String()+".raw"), blockio.DeviceOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer dev.Close()
			extents, covered := 0, int64(0)
			for p, err := range dev.Places(t.Context(), 0, dev.Size()) {
				if err != nil {
					t.Fatal(err)
				}
				extents++
				covered += p.Length
			}
			if extents > 8 || covered != dev.Size() {
				t.Errorf("%d extents with %d bytes of %d", extents, covered, dev.Size())
			}
		})
	}
}
