package cas

import (
	"slices"
	"testing"
)

// A chunk that is moved between the look at the index and the read is read where it
// is then, and only that place is learned of.
func TestVerifierFollowsChunks(t *testing.T) {
	s := storeOfChunks(t)
	ids, err := s.listManifests(t.Context())
	if err != nil || len(ids) == 0 {
		t.Fatalf("%d manifests: %v", len(ids), err)
	}
	im, err := s.OpenImage(t.Context(), ids[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = im.Close() })
	chunks, err := im.window(0)
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, windowLen(im.Size(), 0))
	w := windowVerifier{Verifier: s.NewVerifier(), image: im, digester: NewDigester(im.Size()), buf: p}
	if err := w.locate(t.Context(), 0, chunks); err != nil {
		t.Fatal(err)
	}
	want := slices.Clone(w.locations)
	for i := range w.locations {
		w.locations[i].segment = SegmentID{1} // which is gone
	}
	if err := w.read(t.Context(), 0, chunks, p); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(w.locations, want) {
		t.Error("the places are not those that were read")
	}
	if err := w.identify(chunks, p); err != nil {
		t.Error(err)
	}
}
