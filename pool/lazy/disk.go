package lazy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/blockmill/blockmill/blockio"
)

// Base is what a disk reads where it has no bytes of its own. It never changes.
type Base interface {
	io.ReaderAt
	blockio.Mapper
	Size() int64
}

// File is an open file. A blockio.Device is one, and can also give space back,
// which is used then.
type File interface {
	io.ReaderAt
	io.WriterAt
	// Sync makes all that was written durable.
	Sync() error
}

// Files are the files of a disk; they stay the caller's.
type Files struct {
	// Data is as long as the disk.
	Data File
	// Map is as long as [MapSize] says.
	Map File
}

// Options say how a disk works; the zero value works.
type Options struct {
	// Arena gives the memory of hydration; nil makes one.
	Arena *blockio.Arena
	// Pace, if set, is called before hydration brings n bytes over; it returns
	// when they may come.
	Pace func(ctx context.Context, n int) error
	// Metrics counts; nil does not.
	Metrics *Metrics
}

// Stats count what a disk has done since it was opened, in bytes.
type Stats struct {
	// BaseRead came from the base for reads and for parts of blocks, Hydrated
	// for hydration.
	BaseRead, Hydrated int64
	// Own is how much of the disk is in its own file, of Size.
	Own, Size int64
}

// Disk is an open lazy disk.
type Disk struct {
	// Immutable.
	header header
	files  Files
	base   Base
	opts   Options
	bits   *bitmap

	// regions keep changes of one block apart: the lock of a region is held
	// while a change in it is made, and no other lock of them at that time.
	regions [regionLocks]sync.Mutex

	// sync is held by who brings the map to disk, and guards failed.
	sync   sync.Mutex
	failed error

	baseRead, hydrated atomic.Int64
}

const (
	// regionSize is what one lock covers, a multiple of every block size.
	regionSize  = 1 << 20
	regionLocks = 64
)

// MapSize is the length in bytes of the map of a disk.
func MapSize(size int64) int64 { return mapSize(header{block: blockFor(size), size: size}) }

func mapSize(h header) int64 {
	return headerSize + sectorSize*((h.blocks()+sectorBits-1)/sectorBits)
}

// Format makes the map of a new disk in a file of zeros. It is durable when the
// caller has synced the file.
func Format(m io.WriterAt, size int64, base Identity, baseSize int64) error {
	h := header{block: blockFor(size), size: size, baseSize: baseSize, base: base}
	if _, err := parseHeader(h.encode()); err != nil {
		return fmt.Errorf("make the map of a lazy disk: %w", err)
	}
	if _, err := m.WriteAt(h.encode(), 0); err != nil {
		return fmt.Errorf("make the map of a lazy disk: %w", err)
	}
	return nil
}

// Open opens a disk; its base must be the one with which the map was made.
func Open(f Files, base Base, id Identity, opts Options) (*Disk, error) {
	d, err := open(f, base, id, opts)
	if err != nil {
		return nil, fmt.Errorf("open lazy disk: %w", err)
	}
	return d, nil
}

func open(f Files, base Base, id Identity, opts Options) (*Disk, error) {
	h, err := readHeader(f.Map)
	if err != nil {
		return nil, err
	}
	if h.base != id || h.baseSize != base.Size() {
		return nil, ErrBase
	}
	if opts.Arena == nil {
		opts.Arena = blockio.NewArena(4 * regionSize)
	}
	d := &Disk{header: h, files: f, base: base, opts: opts, bits: newBitmap(h.blocks())}
	if err := d.readMap(); err != nil {
		return nil, err
	}
	return d, nil
}

func readHeader(m io.ReaderAt) (header, error) {
	p := make([]byte, headerSize)
	if err := readFull(m, p, 0); err != nil {
		return header{}, fmt.Errorf("read header of the map: %w", err)
	}
	return parseHeader(p)
}

// readMap reads the sectors.
func (d *Disk) readMap() error {
	const most = 128 // sectors at a time
	p := make([]byte, most*sectorSize)
	for first := 0; first < d.bits.sectors(); first += most {
		n := min(most, d.bits.sectors()-first)
		if err := readFull(d.files.Map, p[:n*sectorSize], headerSize+int64(first)*sectorSize); err != nil {
			return fmt.Errorf("read map: %w", err)
		}
		for i := range n {
			if err := d.bits.decode(p[i*sectorSize:], first+i); err != nil {
				return err
			}
		}
	}
	return nil
}

// Size is the disk's size in bytes.
func (d *Disk) Size() int64 { return d.header.size }

// Whole says whether the disk needs its base no more. What it holds is durable
// after the next Sync.
func (d *Disk) Whole() bool { return d.bits.full() }

// Stats tell what the disk has done.
func (d *Disk) Stats() Stats {
	return Stats{
		BaseRead: d.baseRead.Load(), Hydrated: d.hydrated.Load(),
		Own: min(d.bits.set.Load()*d.header.block, d.header.size), Size: d.header.size,
	}
}

func (d *Disk) check(off, n int64) error {
	if off < 0 || n < 0 || off > d.header.size-n {
		return fmt.Errorf("%d bytes at %d of %d: %w", n, off, d.header.size, ErrRange)
	}
	return nil
}

// readFull reads all of p, which the file must have.
func readFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}
