package vmdk_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/convert"
	"github.com/blockmill/blockmill/convert/vmdk"
)

var _ convert.Image = (*vmdk.Image)(nil)

// variants are files as different writers make them.
func variants() map[string]stream {
	const size = 33<<20 + 512*37
	guest := sample(size)
	return map[string]stream{
		"VMware":                 {guest: guest, early: true},
		"version 1":              {guest: guest, early: true, version: 1},
		"vSphere":                {guest: append(make([]byte, 32<<20), guest[:3<<20]...), early: true, progress: true},
		"tables last":            {guest: guest},
		"vmdktool":               {guest: guest, early: true, header: true},
		"qemu-img":               {guest: guest, front: true, short: true, pad: 60 << 10},
		"open-vmdk":              {guest: guest, front: true, pad: 512},
		"no padding":             {guest: guest, front: true},
		"VirtualBox odd size":    {guest: guest[:1<<20], early: true, nominal: 2048 - 5},
		"stored blocks":          {guest: guest[:1<<20], early: true, level: -2},
		"fastest":                {guest: guest[:1<<20], early: true, level: 1},
		"best":                   {guest: guest[:1<<20], early: true, level: 9},
		"grain of 8 sectors":     {guest: guest[:3<<20+1536], early: true, grain: 8},
		"grain of 2 MiB":         {guest: guest, early: true, grain: 4096},
		"empty":                  {guest: make([]byte, 1<<20), early: true},
		"empty, tables first":    {guest: make([]byte, 1<<20), front: true},
		"one sector":             {guest: guest[:512], early: true},
		"plain":                  {guest: guest[:5<<20], front: true, plain: true, version: 1},
		"plain, called a stream": {guest: guest[:1<<20], front: true, plain: true, header: true},
		"plain, partial grain":   {guest: guest[:5<<20+512], front: true, plain: true, version: 1, short: true},
		"plain, leaked grain":    {guest: guest[:5<<20], front: true, plain: true, version: 2, pad: 64 << 10},
	}
}

func TestVariants(t *testing.T) {
	for name, s := range variants() {
		t.Run(name, func(t *testing.T) {
			file, _ := s.build(t)
			img, err := open(t, file)
			if err != nil {
				t.Fatal(err)
			}
			if err := img.Check(t.Context(), nil); err != nil {
				t.Fatalf("Check: %v", err)
			}
			if err := img.CheckWindows(t.Context(), int64(len(file)/sector/3+1)); err != nil {
				t.Fatalf("Check in three windows: %v", err)
			}
			want := s.guest
			if s.nominal > 0 {
				want = want[:s.nominal*sector]
			}
			if img.Size() != int64(len(want)) {
				t.Fatalf("Size() = %d, want %d", img.Size(), len(want))
			}
			got, err := readAll(img, img.Size())
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Fatal("the bytes differ")
			}
			checkPieces(t, img, want)
			checkExtents(t, img, want)
		})
	}
}

// checkPieces reads ranges that cut grains and tables.
func checkPieces(t *testing.T, img *vmdk.Image, want []byte) {
	t.Helper()
	size := len(want)
	for _, off := range []int{0, 1, 511, 65535, 65537, size/2 - 3, 32<<20 - 70000, size - 1} {
		for _, n := range []int{1, 512, 65536, 200001} {
			if off < 0 || off >= size {
				continue
			}
			p := make([]byte, n)
			m, err := img.ReadAt(p, int64(off))
			part := want[off:min(off+n, size)]
			if m != len(part) || (m < n) != (err == io.EOF) || (err != nil && err != io.EOF) {
				t.Fatalf("ReadAt(%d bytes, %d) = %d, %v", n, off, m, err)
			}
			if !bytes.Equal(p[:m], part) {
				t.Fatalf("ReadAt(%d bytes, %d): the bytes differ", n, off)
			}
		}
	}
}

// checkExtents checks that extents cover ranges, and that only zeros are
// called so.
func checkExtents(t *testing.T, img *vmdk.Image, want []byte) {
	t.Helper()
	size := int64(len(want))
	for _, r := range [][2]int64{{0, size}, {size / 3, size / 2}, {size - 1, 1}, {size, 0}} {
		next := r[0]
		for e, err := range img.Extents(t.Context(), r[0], r[1]) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Offset != next || e.Length <= 0 {
				t.Fatalf("extent %+v, want one from %d", e, next)
			}
			next = e.End()
			if e.State != blockio.Data && !blockio.IsZero(want[e.Offset:e.End()]) {
				t.Fatalf("extent %+v is not zeros", e)
			}
		}
		if next != r[0]+r[1] {
			t.Fatalf("extents of %v end at %d", r, next)
		}
	}
	for range img.Extents(t.Context(), 0, size) {
		break
	}
}

func TestReadOutside(t *testing.T) {
	file, _ := stream{guest: sample(1 << 20)}.build(t)
	img, err := open(t, file)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := img.ReadAt(make([]byte, 1), 1<<20); n != 0 || err != io.EOF {
		t.Errorf("ReadAt at the end = %d, %v, want 0, EOF", n, err)
	}
	if _, err := img.ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("ReadAt at -1 passed")
	}
	for _, err := range img.Extents(t.Context(), 0, 1<<20+1) {
		if err == nil {
			t.Error("Extents beyond the end passed")
		}
	}
}

func TestHostOffsets(t *testing.T) {
	s := stream{guest: sample(4 << 20), front: true, plain: true}
	file, _ := s.build(t)
	img, err := open(t, file)
	if err != nil {
		t.Fatal(err)
	}
	const from = 70000
	for e, err := range img.Extents(t.Context(), from, img.Size()-from) {
		if err != nil {
			t.Fatal(err)
		}
		if e.State != blockio.Data {
			continue
		}
		if !bytes.Equal(file[e.Host:e.Host+e.Length], s.guest[e.Offset:e.End()]) {
			t.Fatalf("extent %+v: the file has other bytes at its host offset", e)
		}
	}
}

func TestInfo(t *testing.T) {
	file, _ := stream{guest: sample(1 << 20), early: true}.build(t)
	img, err := open(t, file)
	if err != nil {
		t.Fatal(err)
	}
	got := img.Info()
	if got.CreateType != "streamOptimized" || got.CID != "fffffffe" || got.VirtualSize != 1<<20 {
		t.Errorf("Info() = %+v", got)
	}
	if len(got.Extents) != 1 || !got.Extents[0].Compressed || !got.Extents[0].Footer || got.Extents[0].GrainSize != 64<<10 {
		t.Errorf("Info().Extents = %+v", got.Extents)
	}
}
