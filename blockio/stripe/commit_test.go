package stripe_test

import (
	"errors"
	"testing"

	"github.com/blockmill/blockmill/blockio"
)

// What an object waits for is nobody's fault but its own: shards are not blamed.
func TestCommitAfterBlamesNoShard(t *testing.T) {
	t.Parallel()
	s := newSet(t, 2, 1)
	v := s.open(t)
	failure := errors.New("not ready")
	err := blockio.WriteObjectAfter(t.Context(), v, "seg/a", pattern(100, 1), func() error { return failure })
	if !errors.Is(err, failure) {
		t.Errorf("commit: error %v, want %v", err, failure)
	}
	for i, n := range v.Stats().ShardFailures {
		if n > 0 {
			t.Errorf("shard %d has %d failures", i, n)
		}
	}
	put(t, v, "seg/a", pattern(100, 2))
	want(t, v, "seg/a", pattern(100, 2))
}
