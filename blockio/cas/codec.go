package cas

import (
	"fmt"
	"sync"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// Codec says how the stored bytes of a chunk are encoded, and how a store
// encodes new ones. The numbers are part of the format.
type Codec uint8

const (
	// Raw stores chunks as they are.
	Raw Codec = 0
	// S2 stores chunks as S2 blocks: fast both ways.
	S2 Codec = 1
	// Zstd stores chunks as zstd frames: smaller, and slower to write.
	Zstd Codec = 2
	// deferred stores chunks as they are, because there was no time to try
	// anything else. Recompression does.
	deferred Codec = 3

	codecs = 4
)

func (c Codec) String() string {
	switch c {
	case Raw:
		return "raw"
	case S2:
		return "s2"
	case Zstd:
		return "zstd"
	case deferred:
		return "deferred"
	}
	return fmt.Sprintf("codec(%d)", uint8(c))
}

// worthwhile says whether storing n bytes for raw ones pays for decoding them:
// it must save an eighth.
func worthwhile(n, raw int) bool { return n <= raw-raw/8 }

// maxEncoded is the room that encoding n raw bytes may need.
func maxEncoded(n int) int { return s2.MaxEncodedLen(n) }

// encode encodes raw into dst, which has room for maxEncoded(len(raw)) bytes, and
// says how long the result is and how it is encoded: raw when the codec gains
// too little.
func (cs *coders) encode(c Codec, dst, raw []byte) (int, Codec) {
	var out []byte
	switch c {
	case S2:
		out = s2.Encode(dst, raw)
	case Zstd:
		e := cs.encoders.Get().(*zstd.Encoder)
		out = e.EncodeAll(raw, dst[:0])
		cs.encoders.Put(e)
	case Raw, deferred:
		return copy(dst, raw), c
	}
	if !worthwhile(len(out), len(raw)) {
		return copy(dst, raw), Raw
	}
	// An encoder that needed more room than dst has moved elsewhere.
	return copy(dst, out), c
}

// decode decodes stored bytes into all of dst.
func (cs *coders) decode(c Codec, dst, stored []byte) error {
	switch c {
	case Raw, deferred:
		if len(stored) != len(dst) {
			return fmt.Errorf("%d raw bytes, expected %d", len(stored), len(dst))
		}
		copy(dst, stored)
		return nil
	case S2:
		n, err := s2.DecodedLen(stored)
		if err != nil {
			return err
		}
		if n != len(dst) {
			return fmt.Errorf("s2 block of %d bytes, expected %d", n, len(dst))
		}
		_, err = s2.Decode(dst, stored)
		return err
	case Zstd:
		d := cs.decoders.Get().(*zstd.Decoder)
		defer cs.decoders.Put(d)
		out, err := d.DecodeAll(stored, dst[:0:len(dst)])
		if err != nil {
			return err
		}
		if len(out) != len(dst) {
			return fmt.Errorf("zstd frame of %d bytes, expected %d", len(out), len(dst))
		}
		copy(dst, out)
		return nil
	}
	return fmt.Errorf("unknown codec %d", c)
}

// coders pools the zstd coders, which are costly to make. Each is used by one
// goroutine at a time.
type coders struct {
	encoders, decoders sync.Pool
}

func newCoders() *coders {
	cs := new(coders)
	cs.encoders.New = func() any {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(maxChunk), zstd.WithEncoderLevel(zstd.SpeedDefault))
		if err != nil {
			panic(err) // only bad options make it fail
		}
		return e
	}
	cs.decoders.New = func() any {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxChunk))
		if err != nil {
			panic(err) // only bad options make it fail
		}
		return d
	}
	return cs
}
