package cas_test

import (
	"fmt"
	"testing"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/cas"
)

// benchStore is a store in a directory, with a session.
func benchStore(b *testing.B, opts cas.Options) (*cas.Store, *cas.Session) {
	b.Helper()
	v, err := blockio.NewDirVolume(b.TempDir(), blockio.DirVolumeOptions{})
	if err != nil {
		b.Fatal(err)
	}
	opts.Volume, opts.IndexDir = v, b.TempDir()
	s := newStore(b, opts)
	ses, err := s.Begin(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = ses.Close() })
	return s, ses
}

// BenchmarkPutWindow stores windows by one worker: new ones by each codec, and
// known ones.
func BenchmarkPutWindow(b *testing.B) {
	const windows = 16
	p := prose(windows*cas.WindowSize, 1)
	for name, opts := range map[string]cas.Options{
		"new/s2":   {EncodeAll: true},
		"new/zstd": {EncodeAll: true, Codec: cas.Zstd},
		"new/raw":  {NoCompression: true},
		"known":    {EncodeAll: true},
	} {
		b.Run(name, func(b *testing.B) {
			_, ses := benchStore(b, opts)
			w, err := ses.CreateImage(1 << 50)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(cas.WindowSize)
			for i := int64(0); b.Loop(); i++ {
				at := p[i%windows*cas.WindowSize:][:cas.WindowSize]
				if name != "known" {
					for off := 0; off < len(at); off += 4096 { // make every chunk new
						copy(at[off:], fmt.Sprintf("%d", i))
					}
				}
				if err := w.PutWindow(b.Context(), i, at); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkReadAt reads an image in windows, and in blocks.
func BenchmarkReadAt(b *testing.B) {
	s, ses := benchStore(b, cas.Options{EncodeAll: true})
	p := prose(16*cas.WindowSize, 2)
	info, err := write(b.Context(), ses, p)
	if err != nil {
		b.Fatal(err)
	}
	im, err := s.OpenImage(b.Context(), info.ID)
	if err != nil {
		b.Fatal(err)
	}
	defer im.Close()
	for _, size := range []int64{4 << 10, 64 << 10, cas.WindowSize} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			buf := make([]byte, size)
			b.SetBytes(size)
			for i := int64(0); b.Loop(); i++ {
				if _, err := im.ReadAt(buf, i*7919*size%(int64(len(p))-size)/size*size); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkDigest cuts and hashes a window.
func BenchmarkDigest(b *testing.B) {
	p := prose(cas.WindowSize, 3)
	d := cas.NewDigester(1 << 50)
	b.SetBytes(cas.WindowSize)
	for i := int64(0); b.Loop(); i++ {
		if err := d.PutWindow(i, p); err != nil {
			b.Fatal(err)
		}
	}
}
