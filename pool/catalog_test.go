package pool_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/convert"
	"github.com/blockmill/blockmill/pool"
)

// makeStore makes and opens a store in a volume.
func makeStore(t *testing.T, v blockio.Volume) *cas.Store {
	t.Helper()
	if err := cas.Init(t.Context(), cas.Options{Volume: v}); err != nil {
		t.Fatal(err)
	}
	return openStore(t, v)
}

func openStore(t *testing.T, v blockio.Volume) *cas.Store {
	t.Helper()
	s, err := cas.Open(t.Context(), cas.Options{Volume: v})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func openCatalog(t *testing.T, s *cas.Store) *pool.Catalog {
	t.Helper()
	c, err := pool.OpenCatalog(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// commit stores an image that begins with the given bytes.
func commit(t *testing.T, s *cas.Store, text string) pool.Image {
	t.Helper()
	session, err := s.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	w, err := session.CreateImage(64 << 10)
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 64<<10)
	copy(p, text)
	if err := w.PutWindow(t.Context(), 0, p); err != nil {
		t.Fatal(err)
	}
	info, err := w.Commit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return pool.Image{
		Meta: pool.Meta[pool.ImageID]{CreatedAt: time.Unix(1700000000, 0).UTC()},
		Contents: pool.Contents{
			Digest: info.Digest, Manifest: info.ID, VirtualSize: info.Size, StorageSize: info.DataBytes, Chunks: info.Chunks,
		},
		Format: convert.Raw,
	}
}

func TestCatalog(t *testing.T) {
	v := blockiotest.NewMemVolume()
	s := makeStore(t, v)
	c := openCatalog(t, s)
	img := commit(t, s, "first")
	img.Name = "first"
	first, err := c.Add(t.Context(), img)
	if err != nil {
		t.Fatal(err)
	}
	unnamed, err := c.Add(t.Context(), commit(t, s, "second"))
	if err != nil {
		t.Fatal(err)
	}
	third := commit(t, s, "third")
	third.Name = "third"
	if third, err = c.Add(t.Context(), third); err != nil {
		t.Fatal(err)
	}
	if err := c.Remove(t.Context(), third.ID); err != nil {
		t.Fatal(err)
	}

	// What another catalog of the same store reads is what this one has.
	for name, c := range map[string]*pool.Catalog{"same": c, "read again": openCatalog(t, s)} {
		t.Run(name, func(t *testing.T) {
			for key, want := range map[string]pool.Image{"first": first, string(first.ID): first, string(unnamed.ID): unnamed} {
				got, err := c.Find(key)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("image %s (-want +got):\n%s", key, diff)
				}
			}
			for _, key := range []string{"third", string(third.ID), "", "nobody"} {
				if _, err := c.Find(key); !errors.Is(err, pool.ErrNotFound) {
					t.Errorf("find %q: %v, want %v", key, err, pool.ErrNotFound)
				}
			}
			if n := len(c.Images()); n != 2 {
				t.Errorf("%d images, want 2", n)
			}
			if err := c.Available("third"); err != nil {
				t.Errorf("name of a removed image: %v", err)
			}
			for _, name := range []string{"first", string(first.ID)} {
				if err := c.Available(name); name == "first" && !errors.Is(err, pool.ErrNameTaken) || err == nil {
					t.Errorf("name %s: %v, want %v", name, err, pool.ErrNameTaken)
				}
			}
		})
	}
}

func TestAddTakenName(t *testing.T) {
	s := makeStore(t, blockiotest.NewMemVolume())
	c := openCatalog(t, s)
	img := commit(t, s, "one")
	img.Name = "name"
	if _, err := c.Add(t.Context(), img); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Add(t.Context(), img); !errors.Is(err, pool.ErrNameTaken) {
		t.Errorf("error %v, want %v", err, pool.ErrNameTaken)
	}
	if n := len(openCatalog(t, s).Images()); n != 1 {
		t.Errorf("%d images, want 1", n)
	}
}

func TestCheckName(t *testing.T) {
	for _, name := range []string{"", "a", "debian-12", "a_b", "a23456789012345678901234567890123456789012345678901234567890123"} {
		if err := pool.CheckName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"A", "1a", "a-", "a_", "a.b", "a b", "ä", "a\n", "a234567890123456789012345678901234567890123456789012345678901234"} {
		if err := pool.CheckName(name); !errors.Is(err, pool.ErrName) {
			t.Errorf("%q: %v, want %v", name, err, pool.ErrName)
		}
	}
}

// A record that cannot be understood hides no other image; one of a later
// version closes the catalog.
func TestDamage(t *testing.T) {
	tests := []struct {
		name, payload string
		newer         bool
	}{
		{"no json", "{", false},
		{"of another image", `{"version": 1, "id": "somebodyelse"}`, false},
		{"same name", `{"version": 1, "id": "damaged", "name": "intact"}`, false},
		{"later version", `{"version": 2, "id": "damaged"}`, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := makeStore(t, blockiotest.NewMemVolume())
			img := commit(t, s, "intact")
			img.Name = "intact"
			if _, err := openCatalog(t, s).Add(t.Context(), img); err != nil {
				t.Fatal(err)
			}
			bad := cas.Record{Kind: "image", ID: "damaged", Payload: []byte(tt.payload)}
			if err := s.PutRecord(t.Context(), bad); err != nil {
				t.Fatal(err)
			}
			c, err := pool.OpenCatalog(t.Context(), s)
			if tt.newer {
				if !errors.Is(err, cas.ErrNewerVersion) {
					t.Errorf("error %v, want %v", err, cas.ErrNewerVersion)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if c.Damage() == nil || len(c.Images()) != 1 {
				t.Errorf("damage %v, %d images; want some and 1", c.Damage(), len(c.Images()))
			}
		})
	}
}

// What was added before a crash is there after it, and what was removed is
// not, whatever the crash does to what was not synced.
func TestCrash(t *testing.T) {
	v := blockiotest.NewMemVolume()
	s := makeStore(t, v)
	c := openCatalog(t, s)
	kept, err := c.Add(t.Context(), commit(t, s, "kept"))
	if err != nil {
		t.Fatal(err)
	}
	removed, err := c.Add(t.Context(), commit(t, s, "removed"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Remove(t.Context(), removed.ID); err != nil {
		t.Fatal(err)
	}
	for crash, clone := range v.CrashClones() {
		s, err := cas.Open(t.Context(), cas.Options{Volume: clone})
		if err != nil {
			t.Fatalf("crash %v: %v", crash, err)
		}
		c := openCatalog(t, s)
		if _, err := c.Find(string(kept.ID)); err != nil {
			t.Errorf("crash %v: %v", crash, err)
		}
		if _, err := c.Find(string(removed.ID)); !errors.Is(err, pool.ErrNotFound) {
			t.Errorf("crash %v: removed image: %v", crash, err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("crash %v: %v", crash, err)
		}
	}
}

// A record that could not be written is no image, nor is its name taken.
func TestAddFails(t *testing.T) {
	v := blockiotest.NewMemVolume()
	s := makeStore(t, v)
	c := openCatalog(t, s)
	img := commit(t, s, "one")
	img.Name = "name"
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Add(ctx, img); err == nil {
		t.Fatal("added")
	}
	if len(c.Images()) != 0 || c.Available("name") != nil {
		t.Error("listed in spite of the error")
	}
	if _, err := c.Add(t.Context(), img); err != nil {
		t.Error(err)
	}
}
