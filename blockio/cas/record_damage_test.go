package cas_test

import (
	"errors"
	"testing"

	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/cas"
)

// TestDamagedRecordIsNotUndone damages the latest version of a record while an older
// one is still there: that one was replaced, and does not come back.
func TestDamagedRecordIsNotUndone(t *testing.T) {
	t.Parallel()
	mem := blockiotest.NewMemVolume()
	v := &rotten{Volume: mem, name: "records/image.a.0000000000000002"}
	v.off.Store(-1)
	opts := testOptions(v, "")
	s, err := cas.Open(t.Context(), initialised(t, opts))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.PutRecord(t.Context(), cas.Record{Kind: "image", ID: "a", Payload: []byte("before")}); err != nil {
		t.Fatal(err)
	}
	mem.Inject(blockiotest.Fault{Ops: blockiotest.OpRemove, N: 1})
	if err := s.PutRecord(t.Context(), cas.Record{Kind: "image", ID: "a", Payload: []byte("after")}); !errors.Is(err, blockiotest.ErrInjected) {
		t.Fatalf("the older version was to stay: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, opts)
	if r, err := s.Record(t.Context(), "image", "a"); err != nil || string(r.Payload) != "after" {
		t.Errorf("the record is %q, %v", r.Payload, err)
	}
	v.off.Store(70)
	if r, err := s.Record(t.Context(), "image", "a"); !errors.Is(err, cas.ErrCorrupt) {
		t.Errorf("the damaged record is %q, %v", r.Payload, err)
	}
	if _, err := s.GC(t.Context(), cas.GCOptions{}); !errors.Is(err, cas.ErrCorrupt) {
		t.Errorf("collection without the manifests of a record: %v", err)
	}
	if err := s.RemoveRecord(t.Context(), "image", "a"); err != nil {
		t.Errorf("remove the damaged record: %v", err)
	}
}
