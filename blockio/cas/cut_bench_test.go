package cas

import (
	"math/rand/v2"
	"testing"
)

// BenchmarkCut cuts a window of noise, which has to be hashed whole.
func BenchmarkCut(b *testing.B) {
	p := make([]byte, WindowSize)
	_, _ = rand.NewChaCha8([32]byte{}).Read(p)
	var spans []span
	b.SetBytes(WindowSize)
	for b.Loop() {
		spans = CanonicalCut().appendSpans(spans[:0], p)
	}
}

// BenchmarkIdentify hashes chunks of the mean length.
func BenchmarkIdentify(b *testing.B) {
	p := make([]byte, 36<<10)
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		identify(p)
	}
}

// BenchmarkFingerprints asks for unknown chunks beside a million known ones.
func BenchmarkFingerprints(b *testing.B) {
	var f fingerprints
	rng := rand.NewChaCha8([32]byte{})
	entries := make([]entry, 1<<20)
	for i := range entries {
		_, _ = rng.Read(entries[i].id[:])
	}
	f.add(entries)
	f.setComplete(databaseParts)
	bytes := 0
	for _, t := range f.tables {
		bytes += len(t) * bucketTags * 2
	}
	var id chunkID
	wrong, n := 0, 0
	for b.Loop() {
		_, _ = rng.Read(id[:16])
		if n++; f.maybe(id) {
			wrong++
		}
	}
	b.ReportMetric(float64(wrong)/float64(n), "wrong/op")
	b.ReportMetric(float64(bytes)/float64(len(entries)), "bytes/chunk")
}
