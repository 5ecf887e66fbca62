package provision_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/pool/provision"
)

var update = flag.Bool("update", false, "write the golden file anew")

const carriedRecord = `{"version":1,"id":"fd8zzzq0a1b2c3d4e5f6"}`

var carriedFile = filepath.Join("testdata", "carried.v1")

// resum gives an attribute the checksum that it needs.
func resum(p []byte) []byte {
	p = p[:len(p)-8]
	return binary.LittleEndian.AppendUint64(p, xxhash.Sum64(p))
}

// unversioned is an attribute of before there were versions.
func unversioned(record string) []byte {
	p := binary.LittleEndian.AppendUint64([]byte("bmrecord"), xxhash.Sum64String(record))
	return append(p, record...)
}

// The attribute is held against one that was written once, and that is decoded by
// FORMAT.md.
func TestCarriedFormat(t *testing.T) {
	got := provision.EncodeCarried([]byte(carriedRecord))
	if *update {
		if err := os.WriteFile(carriedFile, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(carriedFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the attribute has another layout than version 1:\n%q\n%q", got, want)
	}
	le, end := binary.LittleEndian, len(want)-8
	if string(want[:8]) != "bmCARRY\n" || le.Uint32(want[8:]) != 1 || le.Uint32(want[12:]) != 0 ||
		string(want[16:end]) != carriedRecord || le.Uint64(want[end:]) != xxhash.Sum64(want[:end]) {
		t.Errorf("attribute %q", want)
	}
	for what, p := range map[string][]byte{"version 1": want, "no version": unversioned(carriedRecord)} {
		if record, err := provision.DecodeCarried(p); string(record) != carriedRecord || err != nil {
			t.Errorf("%s: %q, %v", what, record, err)
		}
	}
}

// No bit can be wrong, and the version is judged when all are right.
func TestCarriedDamage(t *testing.T) {
	for what, good := range map[string][]byte{
		"version 1": provision.EncodeCarried([]byte(carriedRecord)), "no version": unversioned(carriedRecord),
	} {
		for i := range len(good) * 8 {
			p := bytes.Clone(good)
			p[i/8] ^= 1 << (i % 8)
			if _, err := provision.DecodeCarried(p); !errors.Is(err, provision.ErrCarried) {
				t.Errorf("%s, bit %d: %v", what, i, err)
			}
		}
		for n := range good {
			if _, err := provision.DecodeCarried(good[:n]); !errors.Is(err, provision.ErrCarried) {
				t.Errorf("%s, %d bytes: %v", what, n, err)
			}
		}
	}
	for off, want := range map[int]error{8: cas.ErrNewerVersion, 12: provision.ErrCarried} {
		p := provision.EncodeCarried([]byte(carriedRecord))
		p[off]++
		if _, err := provision.DecodeCarried(resum(p)); !errors.Is(err, want) {
			t.Errorf("byte %d: %v, want %v", off, err, want)
		}
	}
}

// FuzzCarried reads anything as an attribute. What can be read is written as what
// reads the same.
func FuzzCarried(f *testing.F) {
	f.Add(provision.EncodeCarried([]byte(carriedRecord)), false)
	f.Add(unversioned(carriedRecord), false)
	f.Add(make([]byte, 24), true)
	f.Fuzz(func(t *testing.T, p []byte, sum bool) {
		if sum && len(p) >= 8 { // so that what is behind the checksum is reached
			p = resum(p)
		}
		record, err := provision.DecodeCarried(p)
		if err != nil {
			if !errors.Is(err, provision.ErrCarried) && !errors.Is(err, cas.ErrNewerVersion) {
				t.Errorf("error %v is neither", err)
			}
			return
		}
		again, err := provision.DecodeCarried(provision.EncodeCarried(record))
		if !bytes.Equal(again, record) || err != nil {
			t.Errorf("%q reads as %q, %v", record, again, err)
		}
	})
}
