package cas_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/cas"
)

// rotten is a volume in which one byte of one object reads differently.
type rotten struct {
	blockio.Volume
	name string
	off  atomic.Int64 // -1 for none
}

func (r *rotten) Open(ctx context.Context, name string) (blockio.Object, error) {
	o, err := r.Volume.Open(ctx, name)
	if err != nil || name != r.name {
		return o, err
	}
	return rottenObject{o, r}, nil
}

type rottenObject struct {
	blockio.Object
	rot *rotten
}

func (o rottenObject) ReadAt(p []byte, off int64) (int, error) {
	n, err := o.Object.ReadAt(p, off)
	if at := o.rot.off.Load() - off; o.rot.off.Load() >= 0 && at >= 0 && at < int64(n) {
		p[at] ^= 0x10
	}
	return n, err
}

// TestFlips flips every byte of every golden object, one at a time. Reading gives
// the right bytes, or an error that names the object and a place in it.
func TestFlips(t *testing.T) {
	t.Parallel()
	for name, p := range goldenObjects(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, err := goldenVolume(t.Context(), goldenObjects(t))
			if err != nil {
				t.Fatal(err)
			}
			r := &rotten{Volume: v, name: name}
			r.off.Store(-1)
			opts := testOptions(r, "")
			opts.CacheMemory = -1 // every byte is read every time
			s := openStore(t, opts)
			noticed := 0
			for off := 0; off < len(p); off += every(7) {
				r.off.Store(int64(off))
				err := goldenReads(t.Context(), s)
				if err == nil {
					continue
				}
				noticed++
				if err := names(err, name, int64(off)); err != nil {
					t.Errorf("byte %d: %v", off, err)
				}
			}
			r.off.Store(-1)
			if err := goldenReads(t.Context(), s); err != nil {
				t.Error(err)
			}
			least := map[string]int{"meta": 0, "segments": 100, "manifests": 300, "records": len(p)}[strings.Split(name, "/")[0]]
			if name == goldenBatch { // whose head was read when the store was opened
				least -= int(binary.LittleEndian.Uint32(p[12:])) + every(7)
			}
			if every(7)*noticed < least {
				t.Errorf("%d of %d flips were noticed", noticed, len(p))
			}
		})
	}
}

// TestFlipsBeforeOpen is TestFlips with the flip there before the store is opened
// and its index made, for some bytes of each object.
func TestFlipsBeforeOpen(t *testing.T) {
	t.Parallel()
	for name, p := range goldenObjects(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, err := goldenVolume(t.Context(), goldenObjects(t))
			if err != nil {
				t.Fatal(err)
			}
			r := &rotten{Volume: v, name: name}
			for off := range len(p) {
				if off%7 != 0 && (off < 128 || off >= len(p)-128) || off%89 != 0 && off >= 128 && off < len(p)-128 {
					continue
				}
				r.off.Store(int64(off))
				s, err := cas.Open(t.Context(), testOptions(r, ""))
				if err == nil {
					err = errors.Join(goldenReads(t.Context(), s), s.Close())
				}
				if err == nil {
					continue
				}
				if err := names(err, name, int64(off)); err != nil {
					t.Errorf("byte %d: %v", off, err)
				}
			}
		})
	}
}

// goldenReads reads all data of the golden store and compares it with what it
// must be.
func goldenReads(ctx context.Context, s *cas.Store) error {
	for r, err := range s.Records(ctx, "") {
		if err != nil {
			return err
		}
		want := goldenImage
		if r.Kind == "image" && r.ID != "v0" {
			want = goldenChanged
		}
		if err := goldenRead(ctx, s, r.Manifests[0], want()); err != nil {
			return fmt.Errorf("image %s: %w", r.ID, err)
		}
	}
	return nil
}

func goldenRead(ctx context.Context, s *cas.Store, id cas.ManifestID, want []byte) (err error) {
	im, err := s.OpenImage(ctx, id)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, im.Close()) }()
	data := int64(0)
	for e, err := range im.Extents(ctx, 0, im.Size()) {
		if err != nil {
			return err
		}
		if e.State != blockio.Data {
			continue
		}
		got := make([]byte, e.Length)
		if _, err := im.ReadAt(got, e.Offset); err != nil {
			return err
		}
		if !bytes.Equal(got, want[e.Offset:e.End()]) {
			return fmt.Errorf("%d bytes at %d are wrong", e.Length, e.Offset)
		}
		data += e.Length
	}
	if data != im.DataBytes() || im.Size() != int64(len(want)) {
		return fmt.Errorf("%d bytes of data, size %d", data, im.Size())
	}
	return nil
}

// names says whether an error is what it must be when a byte of an object is
// wrong.
func names(err error, object string, off int64) error {
	var c *cas.CorruptError
	switch {
	case !errors.As(err, &c):
		return fmt.Errorf("error %w is no CorruptError", err)
	case c.Object != object:
		return fmt.Errorf("error %w names another object", err)
	case c.Offset < 0 || c.Offset > off+4096:
		return fmt.Errorf("error %w names a place far behind", err)
	case !errors.Is(err, cas.ErrCorrupt):
		return fmt.Errorf("error %w is not ErrCorrupt", err)
	}
	return nil
}
