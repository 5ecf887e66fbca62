package cas_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/zeebo/blake3"
)

var update = flag.Bool("update", false, "write the golden files anew")

const goldenDir = "testdata/golden"

// goldenImage has a chunk of each codec, in three windows of which one is empty
// and the last is short.
var goldenImage = sync.OnceValue(func() []byte {
	p := make([]byte, 2*cas.WindowSize+10_000)
	text := strings.Repeat("all that is stored can be read by hand. ", 1000)
	copy(p[8192:], text[:30_000])
	noise := rand.NewChaCha8([32]byte{1})
	_, _ = noise.Read(p[65536 : 65536+8192])
	copy(p[2*cas.WindowSize:], text[7:9_000])
	return p
})

// goldenChanged is the second image: shorter, and with another first chunk.
var goldenChanged = sync.OnceValue(func() []byte {
	p := slices.Clone(goldenImage()[:2*cas.WindowSize])
	p[8192]++
	return p
})

// writeGolden makes the golden store: every id drawn from a fixed source.
func writeGolden(t *testing.T) {
	ctx := t.Context()
	v, err := blockio.NewDirVolume(t.TempDir(), blockio.DirVolumeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	opts := testOptions(v, "")
	opts.Random = rand.NewChaCha8([32]byte{2})
	opts.Creator, opts.EncodeAll = "golden", true
	if err := cas.Init(ctx, opts); err != nil {
		t.Fatal(err)
	}
	images := [][]byte{goldenImage(), goldenChanged()}
	for i, codec := range []cas.Codec{cas.S2, cas.Zstd} {
		opts.Codec = codec
		s := openStore(t, opts)
		info, err := put(ctx, s, fmt.Sprintf("v%d", i), images[i])
		if err != nil {
			t.Fatal(err)
		}
		// The second version of a record, and one image in two records.
		err = s.PutRecord(ctx, cas.Record{Kind: "image", ID: "golden", Manifests: []cas.ManifestID{info.ID}, Payload: []byte("payload")})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s := openStore(t, opts)
	if err := beginDraft(ctx, s, "golden", goldenImage(), 0); err != nil {
		t.Fatal(err)
	}
	header, err := blockio.ReadObject(ctx, v, "meta/store", 1<<20)
	if err == nil {
		r, lookErr := s.Record(ctx, "image", "v1")
		err = errors.Join(lookErr, blockio.WriteObject(ctx, v, goldenBatch, batchByHand(header[16:32], r.Manifests[0])))
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Close(), os.RemoveAll(goldenDir)); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"meta", "segments", "manifests", "records"} {
		for e, err := range v.List(ctx, kind) {
			if err != nil {
				t.Fatal(err)
			}
			p, err := blockio.ReadObject(ctx, v, e.Name, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			name := filepath.Join(goldenDir, e.Name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, p, 0o644)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// goldenBatch has the records of batchByHand.
const goldenBatch = "records/00000000000000b7"

// batchByHand is a batch of two records of an image, image.first of version 1 and
// image.second of version 5, written as FORMAT.md says and with nothing else.
func batchByHand(store []byte, m cas.ManifestID) []byte {
	le := binary.LittleEndian
	seal := func(p []byte) []byte { return le.AppendUint64(p, xxhash.Sum64(p)) }
	record := func(id string, version uint64) []byte {
		p := le.AppendUint32([]byte("bmRECRD\n"), 1)
		p = le.AppendUint32(p, 64)
		p = append(p, store...)
		p = le.AppendUint64(p, version)
		for _, n := range []int{len("image"), len(id), 1, len(id)} {
			p = le.AppendUint32(p, uint32(n))
		}
		p = append(p, make([]byte, 64-len(p))...)
		p = append(append(append(p, "image"...), id...), m[:]...)
		return seal(append(p, id...))
	}
	first, second := record("first", 1), record("second", 5)
	head := 64 + 24 + len("imagefirst") + 24 + len("imagesecond") + 8
	p := le.AppendUint32([]byte("bmBATCH\n"), 1)
	p = le.AppendUint32(p, uint32(head))
	p = append(p, store...)
	p = le.AppendUint64(p, 0xb7)
	p = le.AppendUint64(p, 0)
	p = le.AppendUint32(p, 2)
	p = append(p, make([]byte, 64-len(p))...)
	entry := func(id string, version uint64, off, size int) {
		p = le.AppendUint64(p, version)
		for _, n := range []int{off, size, len("image"), len(id)} {
			p = le.AppendUint32(p, uint32(n))
		}
		p = append(append(p, "image"...), id...)
	}
	entry("first", 1, head, len(first))
	entry("second", 5, head+len(first), len(second))
	return append(append(seal(p), first...), second...)
}

// goldenObjects reads the golden files by the names of their objects.
func goldenObjects(t testing.TB) map[string][]byte {
	t.Helper()
	objects := map[string][]byte{}
	err := filepath.WalkDir(goldenDir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(goldenDir, path)
		if err != nil {
			return err
		}
		objects[filepath.ToSlash(name)], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

func goldenVolume(ctx context.Context, objects map[string][]byte) (blockio.Volume, error) {
	v := blockiotest.NewMemVolume()
	for name, p := range objects {
		if err := blockio.WriteObject(ctx, v, name, p); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// TestGoldenOpen reads the golden store with this package.
func TestGoldenOpen(t *testing.T) {
	if *update {
		writeGolden(t)
	}
	v, err := goldenVolume(t.Context(), goldenObjects(t))
	if err != nil {
		t.Fatal(err)
	}
	s := openStore(t, testOptions(v, ""))
	r, err := s.Record(t.Context(), "image", "v0")
	if err != nil {
		t.Fatal(err)
	}
	wantImage(t, s, r.Manifests[0], goldenImage())
	for _, id := range []string{"first", "second"} {
		r, err := s.Record(t.Context(), "image", id)
		if err != nil || string(r.Payload) != id {
			t.Fatalf("record %s of a batch: %q, %v", id, r.Payload, err)
		}
		wantImage(t, s, r.Manifests[0], goldenChanged())
	}
	if _, put, err := finishDraft(t.Context(), s, "golden", goldenImage()); err != nil || len(put) != 2 {
		t.Errorf("draft: put %v, %v", put, err)
	}
	sound(t, s)
	again := mustPut(t, s, "again", goldenImage())
	if want := hex.EncodeToString(r.Payload); again.NewChunks != 0 || again.Digest.String() != want {
		t.Errorf("imported again: %d new chunks, digest %v, want %s", again.NewChunks, again.Digest, want)
	}
}

// byHand reads a store as FORMAT.md says, and with nothing else.
type byHand struct {
	t       *testing.T
	objects map[string][]byte
	store   []byte
	chunks  map[[32]byte][]byte
}

// frame checks what all headers and footers have in common.
func (h *byHand) frame(p []byte, magic string) {
	h.t.Helper()
	n := len(p) - 8
	if string(p[:8]) != magic || binary.LittleEndian.Uint32(p[8:]) != 1 || xxhash.Sum64(p[:n]) != binary.LittleEndian.Uint64(p[n:]) {
		h.t.Fatalf("not a frame of %q: % x", magic, p)
	}
}

func (h *byHand) header() {
	p := h.objects["meta/store"]
	h.frame(p, "bmSTORE\n")
	h.store = p[16:32]
	cut := make([]byte, 32)
	for i, field := range []uint32{0, 8192, 262144, 4, 32, 12288} {
		binary.LittleEndian.PutUint32(cut[4*i:], field)
	}
	if len(p) != 128 || !bytes.Equal(p[32:64], cut) || string(p[64:71]) != "golden\x00" {
		h.t.Errorf("store header % x", p)
	}
}

func (h *byHand) segment(name string, p []byte) (codecs []byte) {
	h.frame(p[:64], "bmSEGMT\n")
	foot := p[len(p)-96:]
	h.frame(foot, "bmSEGME\n")
	id, _ := hex.DecodeString(strings.TrimPrefix(name, "segments/"))
	for _, at := range [][]byte{p[16:], foot[16:]} {
		if !bytes.Equal(at[:16], h.store) || !bytes.Equal(at[16:32], id) {
			h.t.Errorf("%s is of another store or segment", name)
		}
	}
	count := int(binary.LittleEndian.Uint32(foot[12:]))
	dirOff := binary.LittleEndian.Uint64(foot[48:])
	dir := p[dirOff:][:48*count]
	if xxhash.Sum64(dir) != binary.LittleEndian.Uint64(foot[72:]) || binary.LittleEndian.Uint64(foot[56:]) != uint64(len(p)) || len(p)%4096 != 0 {
		h.t.Errorf("%s: footer % x", name, foot)
	}
	for ; len(dir) > 0; dir = dir[48:] {
		rec := p[binary.LittleEndian.Uint32(dir[32:]):]
		stored, raw := binary.LittleEndian.Uint32(rec[44:]), binary.LittleEndian.Uint32(rec[48:])
		rec = rec[:56+stored]
		if xxhash.Sum64(rec[8:]) != binary.LittleEndian.Uint64(rec) || string(rec[8:12]) != "bmCH" || !bytes.Equal(rec[12:52], append(append([]byte(nil), dir[:32]...), dir[36:44]...)) || rec[52] != dir[44] {
			h.t.Errorf("%s: record % x", name, rec[:56])
		}
		bytes := rec[56:]
		var err error
		switch codecs = append(codecs, rec[52]); rec[52] {
		case 1:
			bytes, err = s2.Decode(nil, bytes)
		case 2:
			d, _ := zstd.NewReader(nil)
			bytes, err = d.DecodeAll(bytes, nil)
			d.Close()
		}
		if err != nil || len(bytes) != int(raw) || blake3.Sum256(bytes) != [32]byte(dir[:32]) {
			h.t.Errorf("%s: chunk of %d bytes, want %d, %v", name, len(bytes), raw, err)
		}
		h.chunks[[32]byte(dir[:32])] = bytes
	}
	return codecs
}

// image reads a manifest, and returns its guest bytes and digest.
func (h *byHand) image(name string) (guest []byte, digest []byte) {
	p := h.objects[name]
	h.frame(p[:128], "bmMANIF\n")
	foot := p[len(p)-128:]
	h.frame(foot, "bmMANIE\n")
	size := binary.LittleEndian.Uint64(p[48:])
	guest = make([]byte, size)
	windows := binary.LittleEndian.Uint64(foot[80:])
	page := p[binary.LittleEndian.Uint64(foot[88:]):][:4096]
	if xxhash.Sum64(page[8:]) != binary.LittleEndian.Uint64(page) || binary.LittleEndian.Uint64(page[8:]) != windows {
		h.t.Errorf("%s: page % x", name, page[:64])
	}
	image := binary.LittleEndian.AppendUint64([]byte("blockmill image digest 1\x00"), size)
	for at := page[16:][:16*windows]; len(at) > 0; at = at[16:] {
		index, count := uint64(binary.LittleEndian.Uint32(at)), binary.LittleEndian.Uint32(at[4:])
		part := p[binary.LittleEndian.Uint64(at[8:]):][:24+40*count]
		if xxhash.Sum64(part[8:]) != binary.LittleEndian.Uint64(part) || binary.LittleEndian.Uint64(part[8:]) != index {
			h.t.Errorf("%s: part % x", name, part[:24])
		}
		window := binary.LittleEndian.AppendUint64([]byte("blockmill window digest 1\x00"), index)
		sum := blake3.Sum256(append(window, part[24:]...))
		image = append(binary.LittleEndian.AppendUint64(image, index), sum[:]...)
		for e := part[24:]; len(e) > 0; e = e[40:] {
			raw := h.chunks[[32]byte(e[8:40])]
			if len(raw) != int(binary.LittleEndian.Uint32(e[4:])) {
				h.t.Errorf("%s: chunk of %d bytes", name, len(raw))
			}
			copy(guest[index<<22+uint64(binary.LittleEndian.Uint32(e)):], raw)
		}
	}
	sum := blake3.Sum256(image)
	if !bytes.Equal(sum[:], foot[48:80]) {
		h.t.Errorf("%s: digest %x, want %x", name, foot[48:80], sum)
	}
	return guest, sum[:]
}

// TestGoldenByHand reads the golden store without this package.
func TestGoldenByHand(t *testing.T) {
	h := &byHand{t: t, objects: goldenObjects(t), chunks: map[[32]byte][]byte{}}
	h.header()
	seen := map[byte]bool{}
	for name, p := range h.objects {
		if strings.HasPrefix(name, "segments/") {
			for _, c := range h.segment(name, p) {
				seen[c] = true
			}
		}
	}
	if len(seen) != 3 {
		t.Errorf("codecs %v, want all three", seen)
	}
	r := h.objects["records/image.v0.0000000000000001"]
	h.frame(r, "bmRECRD\n")
	if len(r) != 64+5+2+16+32+8 || string(r[64:71]) != "imagev0" {
		t.Fatalf("record % x", r)
	}
	guest, digest := h.image("manifests/" + hex.EncodeToString(r[71:87]))
	if !bytes.Equal(guest, goldenImage()) {
		t.Error("guest bytes differ")
	}
	if !bytes.Equal(digest, r[87:119]) {
		t.Errorf("digest %x, the record has %x", digest, r[87:119])
	}
	if r := h.objects["records/image.golden.0000000000000002"]; binary.LittleEndian.Uint64(r[32:]) != 2 || string(r[64+5+6+16:len(r)-8]) != "payload" {
		t.Errorf("record % x", r)
	}
}

// TestGoldenDraftByHand reads the golden draft without this package.
func TestGoldenDraftByHand(t *testing.T) {
	h := &byHand{t: t, objects: goldenObjects(t), chunks: map[[32]byte][]byte{}}
	h.header()
	for name, p := range h.objects {
		if strings.HasPrefix(name, "segments/") {
			h.segment(name, p)
		}
	}
	r := h.objects["records/draft.golden.0000000000000001"]
	h.frame(r, "bmRECRD\n")
	if string(r[64:75]) != "draftgolden" || len(r) != 64+11+16+32+len("window 0")+8 {
		t.Fatalf("record % x", r)
	}
	payload := r[75+16:]
	if size := binary.LittleEndian.Uint64(payload); size != uint64(len(goldenImage())) || string(payload[32:40]) != "window 0" {
		t.Errorf("payload % x", payload)
	}
	guest, _ := h.image("manifests/" + hex.EncodeToString(r[75:75+16]))
	want := make([]byte, len(goldenImage()))
	copy(want, goldenImage()[:cas.WindowSize])
	if !bytes.Equal(guest, want) {
		t.Error("guest bytes differ")
	}
}

// TestNewerVersion raises the version of each kind of object.
func TestNewerVersion(t *testing.T) {
	t.Parallel()
	seal := func(p []byte) {
		p[8]++
		binary.LittleEndian.PutUint64(p[len(p)-8:], xxhash.Sum64(p[:len(p)-8]))
	}
	for name, p := range goldenObjects(t) {
		objects := goldenObjects(t)
		switch {
		case strings.HasPrefix(name, "segments/"):
			seal(objects[name][:64])
		case strings.HasPrefix(name, "manifests/"):
			seal(objects[name][:128])
		case name == goldenBatch:
			seal(objects[name][:binary.LittleEndian.Uint32(objects[name][12:])])
		default:
			seal(objects[name])
		}
		if bytes.Equal(p, objects[name]) {
			t.Fatal("nothing changed")
		}
		v, err := goldenVolume(t.Context(), objects)
		if err != nil {
			t.Fatal(err)
		}
		if err := readEverything(t.Context(), v); !errors.Is(err, cas.ErrNewerVersion) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s of version 2: %v", name, err)
		}
	}
}

// readEverything opens a store and reads all images.
func readEverything(ctx context.Context, v blockio.Volume) error {
	s, err := cas.Open(ctx, testOptions(v, ""))
	if err != nil {
		return err
	}
	defer s.Close()
	for r, err := range s.Records(ctx, "") {
		if err != nil {
			return err
		}
		if _, err := get(ctx, s, r.Manifests[0]); err != nil {
			return err
		}
	}
	return nil
}
