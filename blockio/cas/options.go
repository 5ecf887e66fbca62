package cas

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/blockmill/blockmill/blockio"
)

// Options say how to make or open a store. Volume is required; the zero value
// of everything else works.
type Options struct {
	// Volume holds the store. The caller has locked it (blockio.LockDir) before
	// opening it, and keeps the lock until the store is closed.
	Volume blockio.Volume
	// IndexDir is the directory of the index, made when missing and locked
	// while the store is open. The store owns everything in it. Without one
	// the index lives in memory, and every Open makes it again from the
	// segments.
	IndexDir string
	// Arena is where buffers come from; by default one of 96 MiB.
	Arena *blockio.Arena
	// Logger takes what is worth knowing and no error; by default nothing.
	Logger *slog.Logger

	// Cut is the rule of a new store. Init takes it, Open ignores it.
	Cut Cut
	// Creator is what Init notes as the maker of the store.
	Creator string

	// Codec encodes new chunks; by default S2. NoCompression stores them raw.
	Codec         Codec
	NoCompression bool
	// EncodeAll encodes every new chunk. Without it chunks are stored as they
	// are while encoding alone holds up the import; garbage collection with
	// Recompress makes up for that.
	EncodeAll bool
	// SegmentSize is about how long segments get; by default 64 MiB.
	SegmentSize int64
	// BufferSize and Buffers are the write buffers that the store takes from
	// the arena when the first session begins; by default 16 of 1 MiB, or
	// smaller ones when that is more than a quarter of the arena.
	BufferSize, Buffers int
	// WriteSize is the length of the write buffers where a volume takes long
	// writes faster: a multiple of 4 KiB, of no effect below BufferSize.
	WriteSize int
	// ReadBuffers are those for reading, of BufferSize too; by default 8.
	ReadBuffers int
	// Computing bounds how many windows are cut, hashed and encoded at a time, of
	// all images that are written; by default nothing does.
	Computing int
	// CacheMemory bounds the decoded chunks that are kept for small reads; by
	// default, and at most, a quarter of the arena. They are dropped when
	// others wait for it. Less than nothing keeps none.
	CacheMemory int64
	// IndexMemory is about how much the index may gather before it writes;
	// by default 4 MiB. It takes up to three times as much.
	IndexMemory int64
	// OpenSegments is how many segments are kept open for reading; by
	// default 64.
	OpenSegments int
	// Random is the source of ids; by default crypto/rand.
	Random io.Reader
}

func (o Options) withDefaults() Options {
	if o.Arena == nil {
		o.Arena = blockio.NewArena(96 << 20)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Codec == Raw && !o.NoCompression {
		o.Codec = S2
	}
	o.Cut = o.Cut.withDefaults()
	o.SegmentSize = orDefault(o.SegmentSize, 64<<20)
	o.Buffers = orDefault(o.Buffers, 16)
	o.ReadBuffers = orDefault(o.ReadBuffers, 8)
	if o.BufferSize == 0 {
		o.BufferSize = 1 << 20
		for o.BufferSize > 256<<10 && int64(o.BufferSize*(o.Buffers+o.ReadBuffers)) > o.Arena.Limit()/4 {
			o.BufferSize /= 2
		}
	}
	if quarter := o.Arena.Limit() / 4; o.CacheMemory == 0 || o.CacheMemory > quarter {
		o.CacheMemory = quarter
	}
	o.IndexMemory = orDefault(o.IndexMemory, 4<<20)
	o.OpenSegments = orDefault(o.OpenSegments, 64)
	if o.Random == nil {
		o.Random = rand.Reader
	}
	return o
}

func orDefault[T int | int64](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}

func (o Options) validate() error {
	switch {
	case o.Volume == nil:
		return errors.New("options: no volume")
	case o.Codec > Zstd:
		return fmt.Errorf("options: codec %d is unknown", o.Codec)
	case o.NoCompression && o.Codec != Raw:
		return fmt.Errorf("options: no compression with codec %v", o.Codec)
	case o.SegmentSize < 1<<20 || o.SegmentSize > maxSegment/2:
		return fmt.Errorf("options: segments of %d bytes, expected 1 MiB to %d", o.SegmentSize, maxSegment/2)
	case o.Buffers < 3 || o.ReadBuffers < 1 || o.OpenSegments < 1:
		return fmt.Errorf("options: %d write buffers, %d read buffers, %d open segments; expected 3, 1, 1 or more", o.Buffers, o.ReadBuffers, o.OpenSegments)
	case o.BufferSize < 256<<10 || o.BufferSize > 64<<20 || o.BufferSize%objectAlign != 0:
		return fmt.Errorf("options: buffers of %d bytes, expected a multiple of %d from 256 KiB to 64 MiB", o.BufferSize, objectAlign)
	case o.WriteSize < 0 || o.WriteSize > 64<<20 || o.WriteSize%objectAlign != 0:
		return fmt.Errorf("options: writes of %d bytes, expected a multiple of %d up to 64 MiB", o.WriteSize, objectAlign)
	case o.IndexMemory < 1<<20:
		return fmt.Errorf("options: index memory %d is less than 1 MiB", o.IndexMemory)
	case len(o.Creator) > creatorSize:
		return fmt.Errorf("options: creator %q is longer than %d bytes", o.Creator, creatorSize)
	}
	return o.Cut.validate()
}
