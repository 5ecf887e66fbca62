package cas_test

import (
	"errors"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/cas"
)

// TestSegmentLost has the first of several segments of an image fail long before
// the image's commit, which must not go by: the chunks are nowhere. The next image
// with the same bytes stores them anew.
func TestSegmentLost(t *testing.T) {
	t.Parallel()
	v := blockiotest.NewMemVolume()
	opts := testOptions(v, "")
	opts.SegmentSize = 1 << 20
	s := newStore(t, opts)
	v.Inject(blockiotest.Fault{Ops: blockiotest.OpRename, N: 1, Err: syscall.EIO})

	p := make([]byte, 8*cas.WindowSize)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(p)
	for _, name := range []string{"lost", "again"} {
		ses, err := s.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w, err := ses.CreateImage(int64(len(p)))
		for n := int64(0); err == nil && n < 8; n++ {
			err = w.PutWindow(t.Context(), n, p[n*cas.WindowSize:(n+1)*cas.WindowSize])
		}
		var info cas.ImageInfo
		if err == nil {
			info, err = w.Commit(t.Context())
		}
		if name == "lost" {
			if !errors.Is(err, syscall.EIO) {
				t.Errorf("an image without its first segment: %v, want EIO", err)
			}
		} else if got, getErr := get(t.Context(), s, info.ID); err != nil || string(got) != string(p) {
			t.Errorf("the same image once more: %v", errors.Join(err, getErr))
		}
		if err := ses.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
