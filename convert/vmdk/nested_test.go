package vmdk_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/blockmill/blockmill/convert/badimage"
	"github.com/blockmill/blockmill/convert/vmdk"
)

// nested builds a stream whose grain 0 stands inside the data of grain 1: each
// has a marker and data in order, and only both together are wrong.
func nested(t *testing.T) []byte {
	t.Helper()
	const unit = 64 << 10
	guest := make([]byte, 2*unit)
	guest[0] = 1
	rng := rand.NewChaCha8([32]byte{2})
	_, _ = rng.Read(guest[unit:]) // it never fails
	s := stream{guest: guest, front: true}
	file, l := s.build(t)
	inner := bytes.Clone(file[l.grains[0]:l.grains[1]])
	// What does not compress is stored as it is, so that some shift brings the
	// inner grain to the beginning of a sector.
	for shift := range sector {
		copy(guest[unit+1000+shift:], inner)
		file, l = s.build(t)
		at := l.grains[1] + bytes.Index(file[l.grains[1]:], inner)
		if at > l.grains[1] && at%sector == 0 {
			binary.LittleEndian.PutUint32(file[l.tables[0]:], uint32(at/sector))
			return file
		}
	}
	t.Fatal("the inner grain begins no sector")
	return nil
}

func TestNestedGrain(t *testing.T) {
	file := nested(t)
	img, err := open(t, file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := readAll(img, img.Size()); err != nil {
		t.Fatalf("a grain alone is refused: %v", err)
	}
	read := make(chan struct{})
	close(read)
	fresh, err := vmdk.Open(bytes.NewReader(file), int64(len(file)), vmdk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"after reading":   img.Check(t.Context(), read),
		"without reading": fresh.Check(t.Context(), nil),
		"in a conversion": pipeline(t.Context(), file, 100),
	} {
		var refusal *badimage.Error
		if !errors.As(err, &refusal) || !strings.Contains(refusal.Field, "grain table entry") {
			t.Errorf("%s: got %v, want a refusal of a grain table entry", name, err)
		}
	}
}
