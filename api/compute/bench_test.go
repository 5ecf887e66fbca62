package compute_test

import (
	"fmt"
	"testing"
	"time"

	computepb "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"

	"github.com/blockmill/blockmill/pool"
)

// BenchmarkList lists pages of a folder of 100,000 images: in each order, in the
// middle, by name, by label, and for a label that none has, which looks at all of
// them.
func BenchmarkList(b *testing.B) {
	const count = 100_000
	w := newWorld(b)
	at := time.Unix(1700000000, 0)
	for i := range count {
		img := pool.Image{Meta: pool.Meta[pool.ImageID]{
			Folder: "f", Name: fmt.Sprintf("n%06d", i), CreatedAt: at.Add(time.Duration(i) * time.Second),
			Labels: map[string]string{"tenth": fmt.Sprint(i % 10)},
		}, Family: fmt.Sprintf("family-%d", i%1000)}
		if _, err := w.node.ReserveImage(img); err != nil {
			b.Fatal(err)
		}
	}
	list := func(req *computepb.ListImagesRequest) *computepb.ListImagesResponse {
		req.FolderId = "f"
		answer, err := w.images.List(w.as("alice"), req)
		if err != nil {
			b.Fatal(err)
		}
		return answer
	}
	middle := list(&computepb.ListImagesRequest{OrderBy: "name", PageSize: 1000})
	for range 40 {
		middle = list(&computepb.ListImagesRequest{OrderBy: "name", PageSize: 1000, PageToken: middle.GetNextPageToken()})
	}
	for _, bb := range []struct {
		name string
		req  *computepb.ListImagesRequest
		want int
	}{
		{"id", &computepb.ListImagesRequest{}, 100},
		{"name", &computepb.ListImagesRequest{OrderBy: "name"}, 100},
		{"createdAt desc", &computepb.ListImagesRequest{OrderBy: "createdAt desc"}, 100},
		{"middle", &computepb.ListImagesRequest{OrderBy: "name", PageToken: middle.GetNextPageToken()}, 100},
		{"of a name", &computepb.ListImagesRequest{Filter: `name = "n050000"`}, 1},
		{"of a label", &computepb.ListImagesRequest{Filter: `labels.tenth = "3"`}, 100},
		{"of none", &computepb.ListImagesRequest{Filter: `labels.tenth = "x"`}, 0},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if n := len(list(bb.req).GetImages()); n != bb.want {
					b.Fatalf("%d images, want %d", n, bb.want)
				}
			}
		})
	}
	b.Run("get", func(b *testing.B) {
		id := middle.GetImages()[0].GetId()
		for b.Loop() {
			if _, err := w.images.Get(w.as("alice"), &computepb.GetImageRequest{ImageId: id}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
