package stripe_test

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/stripe"
)

var update = flag.Bool("update", false, "write the golden files anew")

// goldenContents are a full row of two units of 4 KiB and a tail.
func goldenContents() []byte { return pattern(2*4096+100, 77) }

// writeGolden makes the stripe of the golden files, with ids that are not random.
func writeGolden(t *testing.T) *set {
	s := &set{k: 2, m: 1}
	for range 3 {
		s.shards = append(s.shards, blockiotest.NewMemVolume())
	}
	var ids io.Reader = rand.NewChaCha8([32]byte{7})
	if err := stripe.Init(t.Context(), s.volumes(), stripe.Options{K: 2, M: 1, Unit: 4096, Rand: ids}); err != nil {
		t.Fatal(err)
	}
	v, err := stripe.Open(t.Context(), s.volumes(), stripe.Options{Rand: ids})
	if err != nil {
		t.Fatal(err)
	}
	put(t, v, "seg/golden", goldenContents())
	return s
}

func goldenFile(shard int, name string) string {
	return filepath.Join("testdata", fmt.Sprintf("shard%d-%s", shard, strings.ReplaceAll(name, "/", "-")))
}

// TestGolden holds what is written against files of version 1, and reads those.
func TestGolden(t *testing.T) {
	s := writeGolden(t)
	read := &set{k: 2, m: 1}
	for i, sh := range s.shards {
		vol := blockiotest.NewMemVolume()
		for _, name := range []string{"meta/shard", "seg/golden"} {
			p, err := blockio.ReadObject(t.Context(), sh, name, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			if *update {
				if err := os.WriteFile(goldenFile(i, name), p, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			golden, err := os.ReadFile(goldenFile(i, name))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(p, golden) {
				t.Errorf("%s differs from what is written now", goldenFile(i, name))
			}
			if err := blockio.WriteObject(t.Context(), vol, name, golden); err != nil {
				t.Fatal(err)
			}
		}
		read.shards = append(read.shards, vol)
	}
	for gone := range subsets(3, 1) {
		v := read.without(gone...).open(t)
		want(t, v, "seg/golden", goldenContents())
		wantChecked(t, v, "seg/golden", goldenContents())
	}
}

// TestGoldenByHand decodes a golden file as FORMAT.md says, with nothing of the
// package.
func TestGoldenByHand(t *testing.T) {
	var units [3][]byte
	for i := range units {
		p, err := os.ReadFile(goldenFile(i, "seg/golden"))
		if err != nil {
			t.Fatal(err)
		}
		footer := p[len(p)-128:]
		le := binary.LittleEndian
		const fullUnit, tailUnit, rows = 4096, 4096, 2
		const s = fullUnit + tailUnit
		switch {
		case string(footer[:8]) != "bmSHARD\n", le.Uint32(footer[8:]) != 1, le.Uint32(footer[12:]) != 128,
			le.Uint64(footer[48:]) != 8292, le.Uint32(footer[56:]) != fullUnit, le.Uint16(footer[60:]) != 2,
			le.Uint16(footer[62:]) != 1, int(le.Uint16(footer[64:])) != i, le.Uint16(footer[66:]) != 10:
			t.Errorf("shard %d: footer % x", i, footer)
		case xxhash.Sum64(footer[:120]) != le.Uint64(footer[120:]):
			t.Errorf("shard %d: checksum of the footer", i)
		case len(p) != s+8*rows+10+128 || string(p[s+8*rows:s+8*rows+10]) != "seg/golden":
			t.Errorf("shard %d: %d bytes, name %q", i, len(p), p[s+8*rows:s+8*rows+10])
		case xxhash.Sum64(p[s:s+8*rows+10]) != le.Uint64(footer[72:]):
			t.Errorf("shard %d: checksum of the table", i)
		case xxhash.Sum64(p[:fullUnit]) != le.Uint64(p[s:]) || xxhash.Sum64(p[fullUnit:s]) != le.Uint64(p[s+8:]):
			t.Errorf("shard %d: checksums of the units", i)
		}
		units[i] = p[:s]
	}
	got := append(bytes.Clone(units[0][:4096]), units[1][:4096]...)
	got = append(got, units[0][4096:4196]...)
	if !bytes.Equal(got, goldenContents()) {
		t.Error("the data units are not the object")
	}
	// The Vandermonde matrix of 2+1 is 1 0, 1 1, 1 2 (0^0 is 1); times the
	// inverse of its upper square, its last row is 3 2.
	for i := range units[2] {
		if want := mul(3, units[0][i]) ^ mul(2, units[1][i]); units[2][i] != want {
			t.Fatalf("parity at %d is %#x, want %#x", i, units[2][i], want)
		}
	}
}

// mul multiplies in GF(2^8) with the polynomial 0x11d.
func mul(a, b byte) byte {
	var p byte
	for ; b > 0; b >>= 1 {
		if b&1 != 0 {
			p ^= a
		}
		carry := a & 0x80
		a <<= 1
		if carry != 0 {
			a ^= 0x1d
		}
	}
	return p
}

// reseal makes the checksum that ends an identity right again.
func reseal(p []byte) []byte {
	n := len(p) - 8
	binary.LittleEndian.PutUint64(p[n:], xxhash.Sum64(p[:n]))
	return p
}
