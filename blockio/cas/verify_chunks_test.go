package cas_test

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/cas"
)

// segmentNames are the segments of a volume in their order.
func segmentNames(t *testing.T, v blockio.Volume) (names []string) {
	t.Helper()
	for e, err := range v.List(t.Context(), "segments") {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, e.Name)
	}
	return names
}

// rewrite has an object hold other bytes.
func rewrite(t *testing.T, v blockio.Volume, name string, f func(p []byte)) {
	t.Helper()
	p, err := blockio.ReadObject(t.Context(), v, name, 1<<30)
	if err == nil {
		err = v.Remove(t.Context(), name)
	}
	if err != nil {
		t.Fatal(err)
	}
	f(p)
	if err := blockio.WriteObject(t.Context(), v, name, p); err != nil {
		t.Fatal(err)
	}
}

func mustVerify(t *testing.T, s *cas.Store, opts cas.VerifyOptions) cas.VerifyReport {
	t.Helper()
	r, err := s.VerifyChunks(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestVerifyChunks(t *testing.T) {
	v := blockiotest.NewMemVolume()
	s := newStore(t, testOptions(v, ""))
	var chunks int64
	for i, name := range []string{"a", "b", "c"} {
		chunks += mustPut(t, s, name, guest(5<<20, uint64(i))).NewChunks
	}
	mustPut(t, s, "again", guest(5<<20, 0))
	all := mustVerify(t, s, cas.VerifyOptions{})
	if all.Chunks != chunks || all.Found != 0 || all.Cursor != "" {
		t.Errorf("verified %+v, expected %d sound chunks", all, chunks)
	}

	// It goes on after any object where it stopped.
	var cursors []string
	var last cas.VerifyProgress
	mustVerify(t, s, cas.VerifyOptions{Parallel: 3, Progress: func(p cas.VerifyProgress) {
		if p.Cursor != last.Cursor {
			cursors = append(cursors, p.Cursor)
		}
		last = p
	}})
	if last.Bytes != last.Total || last.Total == 0 {
		t.Errorf("the last progress is %+v", last)
	}
	for _, after := range cursors {
		rest := mustVerify(t, s, cas.VerifyOptions{After: after})
		if rest.Objects >= all.Objects || rest.Chunks > all.Chunks {
			t.Errorf("after %s: %+v of %+v", after, rest, all)
		}
	}
	if rest := mustVerify(t, s, cas.VerifyOptions{After: cursors[len(cursors)-1]}); rest.Objects != 0 {
		t.Errorf("after the last object there are %d", rest.Objects)
	}
}

// firstRecord is where the records of a segment begin.
const firstRecord = 64

// forgeFirst changes the first chunk of a segment and makes its checksum fit.
func forgeFirst(t *testing.T, v blockio.Volume, segment string) {
	t.Helper()
	const header = 56
	rewrite(t, v, segment, func(p []byte) {
		stored := binary.LittleEndian.Uint32(p[firstRecord+44:])
		p[firstRecord+header+9] ^= 1
		binary.LittleEndian.PutUint64(p[firstRecord:], xxhash.Sum64(p[firstRecord+8:firstRecord+header+stored]))
	})
}

// Wrong bytes whose checksum fits are found by their BLAKE3 alone.
func TestVerifyChunksDigest(t *testing.T) {
	v := blockiotest.NewMemVolume()
	opts := testOptions(v, "")
	opts.NoCompression = true
	s := newStore(t, opts)
	p := guest(3<<20, 7)
	info := mustPut(t, s, "a", p)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	name := segmentNames(t, v)[0]
	forgeFirst(t, v, name)
	s = openStore(t, opts)
	if _, err := get(t.Context(), s, info.ID); err != nil {
		t.Fatalf("the damage is not one that only BLAKE3 finds: %v", err)
	}
	r := mustVerify(t, s, cas.VerifyOptions{})
	if r.Found != 1 || r.Damage[0].Object != name || r.Damage[0].Offset != firstRecord || !errors.Is(r.Damage[0].Err, cas.ErrCorrupt) {
		t.Fatalf("found %d: %+v", r.Found, r.Damage)
	}
	lost, err := s.Unreadable(t.Context(), []cas.ObjectRange{r.Damage[0].ObjectRange})
	if err != nil || len(lost) != 1 || lost[0].Manifest != info.ID || !strings.Contains(lost[0].Err.Error(), "chunk is") {
		t.Errorf("the damage touches %+v, error %v", lost, err)
	}
}

// Damage in any kind of object is told apart from what is sound beside it.
func TestVerifyChunksDamage(t *testing.T) {
	for name, p := range goldenObjects(t) {
		kind, _, _ := strings.Cut(name, "/")
		if kind != "segments" && kind != "manifests" {
			continue
		}
		v, err := goldenVolume(t.Context(), goldenObjects(t))
		if err != nil {
			t.Fatal(err)
		}
		r := &rotten{Volume: v, name: name}
		r.off.Store(-1)
		s := openStore(t, testOptions(r, ""))
		whole := mustVerify(t, s, cas.VerifyOptions{})
		noticed := 0
		for off := 0; off < len(p); off += 97 {
			r.off.Store(int64(off))
			got := mustVerify(t, s, cas.VerifyOptions{})
			for _, d := range got.Damage {
				if d.Object != name || d.Length >= 0 && (d.Offset > int64(off) || d.Offset+d.Length <= int64(off)) {
					t.Errorf("%s, byte %d: found %+v", name, off, d)
				}
			}
			if got.Objects != whole.Objects {
				t.Errorf("%s, byte %d: %d objects of %d", name, off, got.Objects, whole.Objects)
			}
			if len(got.Left) == 0 {
				continue
			}
			noticed++
			// A later look after the end looks at what is left once more.
			again := mustVerify(t, s, cas.VerifyOptions{After: "z", Again: got.Left})
			if again.Objects != 1 || again.Found != got.Found || got.Left[0] != name {
				t.Errorf("%s, byte %d: once more found %+v, before %+v", name, off, again, got)
			}
		}
		if noticed == 0 {
			t.Errorf("%s: nothing was noticed", name)
		}
	}
}

// What is removed while it is verified is not damage.
func TestVerifyChunksBesideGC(t *testing.T) {
	s := newStore(t, testOptions(blockiotest.NewMemVolume(), ""))
	for _, name := range []string{"a", "b", "c", "d"} {
		mustPut(t, s, name, guest(5<<20, uint64(name[0])))
	}
	gone := false
	r := mustVerify(t, s, cas.VerifyOptions{Parallel: 1, Progress: func(cas.VerifyProgress) {
		if gone {
			return
		}
		gone = true
		for _, name := range []string{"a", "b", "c"} {
			mustRemove(t, s, name)
		}
		mustGC(t, s, cas.GCOptions{})
	}})
	if r.Found != 0 {
		t.Errorf("found %+v", r.Damage)
	}
}
