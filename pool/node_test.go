package pool_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/convert"
	"github.com/blockmill/blockmill/pool"
)

func openNode(t *testing.T, s *cas.Store) *pool.Node {
	t.Helper()
	n, err := pool.Open(t.Context(), pool.Options{Store: s})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Damage(); err != nil {
		t.Fatal(err)
	}
	return n
}

// content is a raw image that begins with the given text.
func content(t *testing.T, n *pool.Node, text string) pool.Filling {
	t.Helper()
	p := make([]byte, 64<<10)
	copy(p, text)
	img, format, err := n.OpenSource(bytes.NewReader(p), int64(len(p)))
	if err != nil {
		t.Fatal(err)
	}
	return pool.Filling{Content: img, Format: format}
}

func named(name string) pool.Image {
	return pool.Image{Meta: pool.Meta[pool.ImageID]{Folder: "f", Name: name}}
}

func makeImage(t *testing.T, n *pool.Node, img pool.Image, text string) pool.Image {
	t.Helper()
	img, err := n.ReserveImage(img)
	if err == nil {
		img, err = n.FillImage(t.Context(), img.ID, content(t, n, text))
	}
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func TestImageLife(t *testing.T) {
	s := makeStore(t, blockiotest.NewMemVolume())
	n := openNode(t, s)
	want := named("debian")
	want.Description = "a system"
	want.Labels = map[string]string{"a": "b"}
	want.Family = "debian-12"
	want.Operation, want.IdempotencyKey = "op", "key"
	want.Bindings = []pool.Binding{{Role: "viewer", SubjectType: "userAccount", SubjectID: "u"}}
	want.Heritage = pool.Heritage{ProductIDs: []string{"p"}, OS: pool.OS{Type: pool.Linux, Nvidia: &pool.Nvidia{Driver: "d"}}, HardwareGeneration: []byte{1}}
	want.Source = pool.Source{URI: "https://host/path"}

	reserved, err := n.ReserveImage(want)
	if err != nil {
		t.Fatal(err)
	}
	if reserved.Status != pool.Creating {
		t.Errorf("status %v, want %v", reserved.Status, pool.Creating)
	}
	if _, err := n.ReserveImage(named("debian")); !errors.Is(err, pool.ErrNameTaken) {
		t.Errorf("reserved name: %v, want %v", err, pool.ErrNameTaken)
	}
	if err := n.DeleteImage(t.Context(), reserved.ID); !errors.Is(err, pool.ErrNotReady) {
		t.Errorf("delete: %v, want %v", err, pool.ErrNotReady)
	}
	img, err := n.FillImage(t.Context(), reserved.ID, content(t, n, "bytes"))
	if err != nil {
		t.Fatal(err)
	}
	want.ID, want.CreatedAt, want.Contents = reserved.ID, reserved.CreatedAt, img.Contents
	want.Format, want.MinDiskSize = convert.Raw, 4<<20
	for name, n := range map[string]*pool.Node{"same": n, "read again": openNode(t, s)} {
		got, err := n.Image(img.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}

	// The same operation finds what it made; another may not have the id.
	again, err := n.ReserveImage(want)
	if err != nil || again.Status != pool.Ready {
		t.Errorf("the same operation again: %v, %v", again.Status, err)
	}
	other := want
	other.Name, other.Operation = "other", "op2"
	if _, err := n.ReserveImage(other); err == nil {
		t.Error("another operation got the id")
	}

	// An image of it has its bytes and heritage, and outlives it.
	copied := named("copy")
	copied.Source = pool.Source{Image: img.ID}
	copied, err = n.ReserveImage(copied)
	if err != nil {
		t.Fatal(err)
	}
	if copied, err = n.CopyImage(t.Context(), copied.ID, nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(img.Contents, copied.Contents); diff != "" {
		t.Errorf("contents of the copy (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(img.Heritage, copied.Heritage); diff != "" {
		t.Errorf("heritage of the copy (-want +got):\n%s", diff)
	}
	if err := n.DeleteImage(t.Context(), img.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Image(img.ID); !errors.Is(err, pool.ErrNotFound) {
		t.Errorf("deleted image: %v, want %v", err, pool.ErrNotFound)
	}
	if err := n.DeleteImage(t.Context(), img.ID); !errors.Is(err, pool.ErrNotFound) {
		t.Errorf("delete again: %v, want %v", err, pool.ErrNotFound)
	}
	if _, err := s.GC(t.Context(), cas.GCOptions{}); err != nil {
		t.Fatal(err)
	}
	r, err := s.OpenImage(t.Context(), copied.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 5)
	if _, err := r.ReadAt(p, 0); err != nil || string(p) != "bytes" {
		t.Errorf("read %q, %v", p, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if got := openNode(t, s); len(slices.Collect(got.Images(pool.Query{Folder: "f"}))) != 1 {
		t.Error("the deleted image is back")
	}
}

// Whatever makes a filling fail, nothing of the image is left.
func TestFillFails(t *testing.T) {
	s := makeStore(t, blockiotest.NewMemVolume())
	n := openNode(t, s)
	verdict := errors.New("not this one")
	tests := []struct {
		name string
		edit func(*pool.Image, *pool.Filling, context.CancelFunc)
		want error
	}{
		{"digest", func(_ *pool.Image, f *pool.Filling, _ context.CancelFunc) { f.Digest = new(cas.Digest) }, pool.ErrDigest},
		{"verdict", func(_ *pool.Image, f *pool.Filling, _ context.CancelFunc) {
			f.Verify = func(context.Context) error { return verdict }
		}, verdict},
		{"cancelled before", func(_ *pool.Image, _ *pool.Filling, cancel context.CancelFunc) { cancel() }, context.Canceled},
		{"cancelled in the middle", func(_ *pool.Image, f *pool.Filling, cancel context.CancelFunc) {
			f.Progress = func(int64, int64) { cancel() }
		}, context.Canceled},
		{"cancelled at the end", func(_ *pool.Image, f *pool.Filling, cancel context.CancelFunc) {
			f.Verify = func(context.Context) error { cancel(); return nil }
		}, context.Canceled},
		{"disk size", func(img *pool.Image, _ *pool.Filling, _ context.CancelFunc) { img.MinDiskSize = 4096 }, pool.ErrMinDiskSize},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			img, f := named("name"), content(t, n, tt.name)
			tt.edit(&img, &f, cancel)
			img, err := n.ReserveImage(img)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := n.FillImage(ctx, img.ID, f); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if _, err := n.Image(img.ID); !errors.Is(err, pool.ErrNotFound) {
				t.Errorf("image: %v, want %v", err, pool.ErrNotFound)
			}
			for r, err := range s.Records(t.Context(), "") {
				t.Errorf("record %s %s is left (%v)", r.Kind, r.ID, err)
			}
		})
	}
	makeImage(t, n, named("name"), "the name is free")
}

func TestUpdateImage(t *testing.T) {
	s := makeStore(t, blockiotest.NewMemVolume())
	n := openNode(t, s)
	img := makeImage(t, n, named("one"), "1")
	makeImage(t, n, named("two"), "2")
	text := func(s string) *string { return &s }
	size := func(n int64) *int64 { return &n }

	tests := []struct {
		name string
		edit pool.ImageEdit
		want error
	}{
		{"taken name", pool.ImageEdit{Name: text("two")}, pool.ErrNameTaken},
		{"bad name", pool.ImageEdit{Name: text("Two")}, pool.ErrName},
		{"small disks", pool.ImageEdit{MinDiskSize: size(4096)}, pool.ErrMinDiskSize},
		{"new name", pool.ImageEdit{Name: text("three")}, nil},
		{"same name", pool.ImageEdit{Name: text("three")}, nil},
		{"no name", pool.ImageEdit{Name: text("")}, nil},
		{"old name", pool.ImageEdit{Name: text("one"), Description: text("d"), MinDiskSize: size(8 << 20)}, nil},
		{"least disks", pool.ImageEdit{MinDiskSize: size(0)}, nil},
	}
	for _, tt := range tests {
		got, err := n.UpdateImage(t.Context(), img.ID, tt.edit)
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
		if tt.want == nil && tt.edit.Name != nil && got.Name != *tt.edit.Name {
			t.Errorf("%s: name %q", tt.name, got.Name)
		}
	}
	got, err := openNode(t, s).Image(img.ID)
	if err != nil || got.Name != "one" || got.Description != "d" || got.MinDiskSize != 4<<20 {
		t.Errorf("read again: %+v, %v", got, err)
	}
	for _, name := range []string{"three", "four"} {
		if _, err := n.ReserveImage(named(name)); err != nil {
			t.Errorf("name %s: %v", name, err)
		}
	}
}

func TestLatestByFamily(t *testing.T) {
	n := openNode(t, makeStore(t, blockiotest.NewMemVolume()))
	at := time.Unix(1700000000, 0).UTC()
	add := func(family string, id pool.ImageID, at time.Time) {
		img := pool.Image{Meta: pool.Meta[pool.ImageID]{ID: id, Folder: "f", CreatedAt: at}, Family: family}
		makeImage(t, n, img, string(id))
	}
	add("fam", "b", at)
	add("fam", "c", at)
	add("fam", "d", at.Add(-time.Hour))
	add("fan", "e", at.Add(time.Hour))
	add("", "f", at.Add(time.Hour))
	if _, err := n.ReserveImage(pool.Image{Meta: pool.Meta[pool.ImageID]{ID: "g", Folder: "f", CreatedAt: at.Add(time.Hour)}, Family: "fam"}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		folder pool.FolderID
		family string
		want   pool.ImageID
	}{{"f", "fam", "c"}, {"f", "fan", "e"}, {"f", "fao", ""}, {"f", "fa", ""}, {"g", "fam", ""}} {
		img, err := n.LatestByFamily(tt.folder, tt.family)
		if img.ID != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("family %s in %s: %s, %v; want %s", tt.family, tt.folder, img.ID, err, tt.want)
		}
	}
}

func TestListing(t *testing.T) {
	n := openNode(t, makeStore(t, blockiotest.NewMemVolume()))
	at := time.Unix(1700000000, 0).UTC()
	const count = 300 // several batches
	for i := range count {
		// Ids, names and times in three different orders.
		img := pool.Image{Meta: pool.Meta[pool.ImageID]{
			ID: pool.ImageID("i" + digits(i)), Folder: "f", Name: "n" + digits(i*7%count), CreatedAt: at.Add(time.Duration(i * 11 % count)),
		}}
		if _, err := n.ReserveImage(img); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := n.ReserveImage(named("n000")); err == nil {
		t.Fatal("name given twice")
	}
	keys := map[pool.Order]func(pool.Image) string{
		pool.ByID:       func(img pool.Image) string { return string(img.ID) },
		pool.ByName:     func(img pool.Image) string { return img.Name },
		pool.ByCreation: func(img pool.Image) string { return img.CreatedAt.Format("2006-01-02T15:04:05.000000000") },
	}
	for order, key := range keys {
		for _, descending := range []bool{false, true} {
			// All at once, and in pages of 7.
			q := pool.Query{Folder: "f", Order: order, Descending: descending}
			all := slices.Collect(n.Images(q))
			sorted := slices.IsSortedFunc(all, func(a, b pool.Image) int {
				c := bytes.Compare([]byte(key(a)), []byte(key(b)))
				if descending {
					return -c
				}
				return c
			})
			if len(all) != count || !sorted {
				t.Errorf("order %v, descending %v: %d images, sorted: %v", order, descending, len(all), sorted)
			}
			var paged []pool.Image
			for {
				i := 0
				for img := range n.Images(q) {
					paged = append(paged, img)
					if i++; i == 7 {
						break
					}
				}
				if i < 7 {
					break
				}
				last := paged[len(paged)-1]
				q.After = &pool.Position{ID: string(last.ID), Name: last.Name, CreatedAt: last.CreatedAt}
			}
			if diff := cmp.Diff(all, paged); diff != "" {
				t.Errorf("order %v, descending %v, in pages (-want +got):\n%s", order, descending, diff)
			}
		}
	}
	if got := slices.Collect(n.Images(pool.Query{Folder: "f", Name: "n005"})); len(got) != 1 || got[0].Name != "n005" {
		t.Errorf("of one name: %v", got)
	}
	if got := slices.Collect(n.Images(pool.Query{Folder: "g"})); len(got) != 0 {
		t.Errorf("of another folder: %v", got)
	}
}

func digits(i int) string {
	return string([]byte{byte('0' + i/100), byte('0' + i/10%10), byte('0' + i%10)})
}
