package cas_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/cas"
)

// Many records are put at once, of which each waits for something that may fail:
// then there is no record, and no other one misses.
func TestPutRecordAfter(t *testing.T) {
	t.Parallel()
	v := blockiotest.NewMemVolume()
	if err := cas.Init(t.Context(), cas.Options{Volume: v}); err != nil {
		t.Fatal(err)
	}
	s, err := cas.Open(t.Context(), cas.Options{Volume: v})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	failure := errors.New("not ready")
	const puts = 60
	var wg sync.WaitGroup
	for i := range puts {
		wg.Go(func() {
			id := fmt.Sprintf("d%d", i)
			err := s.PutRecordAfter(t.Context(), cas.Record{Kind: "disk", ID: id, Payload: []byte{1}}, func() error {
				// The table gives nobody a record that is being put, so the volume is asked.
				for e, err := range v.List(t.Context(), "records") {
					if err != nil || e.Name == "records/disk."+id+".0000000000000001" {
						t.Errorf("%s is there before it is ready, %v", id, err)
					}
				}
				if i%3 == 0 {
					return failure
				}
				return nil
			})
			if i%3 == 0 != errors.Is(err, failure) {
				t.Errorf("put %s: error %v", id, err)
			}
		})
	}
	wg.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = cas.Open(t.Context(), cas.Options{Volume: v}); err != nil {
		t.Fatal(err)
	}
	for i := range puts {
		_, err := s.Record(t.Context(), "disk", fmt.Sprintf("d%d", i))
		if (i%3 == 0) != errors.Is(err, cas.ErrNotFound) {
			t.Errorf("record of put %d: error %v", i, err)
		}
	}
}
