package cas

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// randomID is a digest as good as random.
func randomID(r *rand.Rand) chunkID {
	var id chunkID
	for i := 0; i < len(id); i += 8 {
		binary.LittleEndian.PutUint64(id[i:], r.Uint64())
	}
	return id
}

// slots counts the slots of all tables.
func (f *fingerprints) slots() int {
	n := 0
	for _, t := range f.tables {
		n += len(t) * bucketTags
	}
	return n
}

// TestFingerprints asks for chunks that were added, which must all be known, and
// for others, which hardly any may be.
func TestFingerprints(t *testing.T) {
	const n = 100_000
	var f fingerprints
	if f.setComplete(databaseParts); f.maybe(chunkID{1}) {
		t.Error("an empty table knows a chunk")
	}
	if f.setComplete(1); f.maybe(chunkID{0, 1}) || !f.maybe(chunkID{1}) {
		t.Error("a table that has a part of all chunks knows one of them, or that there is none of the others")
	}
	f.setComplete(databaseParts)
	r := rand.New(rand.NewPCG(1, 2))
	ids := make([]chunkID, n)
	for i := range ids {
		ids[i] = randomID(r)
		f.add([]entry{{id: ids[i]}})
	}
	for i, id := range ids {
		if !f.maybe(id) {
			t.Fatalf("chunk %d is forgotten", i)
		}
	}
	wrong := 0
	for range n {
		if f.maybe(randomID(r)) {
			wrong++
		}
	}
	if wrong > n/200 {
		t.Errorf("%d of %d unknown chunks are said to be known", wrong, n)
	}
	if f.slots() > 3*n {
		t.Errorf("%d slots for %d chunks", f.slots(), n)
	}
}

// TestFingerprintsExpected makes room for the chunks beforehand, and for as many as
// half of them later: neither may take much more than a slot each.
func TestFingerprintsExpected(t *testing.T) {
	const n = 300_000
	var f fingerprints
	f.expect(n)
	f.setComplete(databaseParts)
	r := rand.New(rand.NewPCG(7, 8))
	var ids []entry
	for _, tt := range []struct{ add, slots, tables int }{{n, n * 3 / 2, 2}, {n / 2, n * 5 / 2, 4}} {
		for range tt.add {
			ids = append(ids, entry{id: randomID(r)})
			f.add(ids[len(ids)-1:])
		}
		if f.slots() > tt.slots || len(f.tables) > tt.tables {
			t.Errorf("%d chunks take %d slots in %d tables, expected %d in %d", len(ids), f.slots(), len(f.tables), tt.slots, tt.tables)
		}
	}
	for i, e := range ids {
		if !f.maybe(e.id) {
			t.Fatalf("chunk %d is forgotten", i)
		}
	}
}

// TestFingerprintsExpectedAnew has added some chunks before all are expected, as an
// open does that finds segments which the index lacks: all get the room that they take
// together, and none is surely unknown before it is there again.
func TestFingerprintsExpectedAnew(t *testing.T) {
	const n = 300_000
	var f fingerprints
	r := rand.New(rand.NewPCG(9, 10))
	ids := make([]entry, n)
	for i := range ids {
		ids[i].id = randomID(r)
	}
	f.add(ids[:n/10])
	f.setComplete(databaseParts)
	f.expect(n)
	for _, e := range ids[:100] {
		if !f.maybe(e.id) {
			t.Fatal("a chunk is surely unknown that is yet to be added")
		}
	}
	f.add(ids)
	f.setComplete(databaseParts)
	if f.slots() > n*3/2 || len(f.tables) > 2 {
		t.Errorf("%d chunks take %d slots in %d tables", n, f.slots(), len(f.tables))
	}
	for i, e := range ids {
		if !f.maybe(e.id) {
			t.Fatalf("chunk %d is forgotten", i)
		}
	}
}

// TestFingerprintsOfAnAdversary adds chunks that share a tag and both buckets, and
// the same chunks over and over: neither may cost memory, nor be forgotten.
func TestFingerprintsOfAnAdversary(t *testing.T) {
	const n = 10_000
	var f fingerprints
	f.setComplete(databaseParts)
	alike := func(i int) chunkID {
		id := chunkID{31: byte(i)}
		binary.LittleEndian.PutUint16(id[:], uint16(1+i%60_000))
		binary.LittleEndian.PutUint32(id[10:], uint32(i))
		return id
	}
	for range 3 {
		for i := range n {
			f.add([]entry{{id: alike(i)}})
		}
	}
	for i := range n {
		if !f.maybe(alike(i)) {
			t.Fatalf("chunk %d is forgotten", i)
		}
	}
	if f.slots() != firstBuckets*bucketTags {
		t.Errorf("chunks of one bucket take %d slots", f.slots())
	}
	if f.maybe(randomID(rand.New(rand.NewPCG(3, 4)))) {
		t.Error("a chunk of other buckets is said to be known")
	}
}

// TestFingerprintsAgain adds the same chunks many times, as compaction does.
func TestFingerprintsAgain(t *testing.T) {
	var f fingerprints
	f.setComplete(databaseParts)
	ids := make([]entry, 1000)
	r := rand.New(rand.NewPCG(5, 6))
	for i := range ids {
		ids[i].id = randomID(r)
	}
	for range 100 {
		f.add(ids)
	}
	if f.last > len(ids) || f.slots() != firstBuckets*bucketTags {
		t.Errorf("%d tags in %d slots for %d chunks", f.last, f.slots(), len(ids))
	}
}
