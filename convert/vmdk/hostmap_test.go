package vmdk_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/blockmill/blockmill/convert/vmdk"
)

// TestHostMap compares a map with one of booleans.
func TestHostMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := rapid.Int64Range(0, 100).Draw(t, "start")
		end := start + rapid.Int64Range(1, 300).Draw(t, "sectors")
		m := vmdk.NewHostMap(start, end)
		want := make([]bool, end)
		for range rapid.IntRange(0, 6).Draw(t, "claims") {
			from := rapid.Int64Range(0, end+40).Draw(t, "from")
			count := rapid.Int64Range(0, 90).Draw(t, "count")
			free, first := true, int64(0)
			for s := max(from, start); s < min(from+count, end); s++ {
				if want[s] && free {
					free, first = false, s
				}
				want[s] = true
			}
			taken, ok := m.Claim(from, count)
			if ok != free || (!ok && taken != first) {
				t.Fatalf("Claim(%d, %d) = %d, %v, want %d, %v", from, count, taken, ok, first, free)
			}
		}
		from := rapid.Int64Range(0, end).Draw(t, "gaps from")
		next := max(from, start)
		for a, b := range m.Gaps(from) {
			for ; next < b; next++ {
				if want[next] != (next < a) {
					t.Fatalf("gap %d to %d: wrong at %d", a, b, next)
				}
			}
		}
		for ; next < end; next++ {
			if !want[next] {
				t.Fatalf("sector %d is in no gap", next)
			}
		}
	})
}
