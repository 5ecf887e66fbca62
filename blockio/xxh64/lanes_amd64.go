package xxh64

import (
	"encoding/binary"
	"math/bits"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sys/cpu"
)

func accelerated() bool { return cpu.X86.HasAVX512F && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL }

const (
	prime1 = 0x9E3779B185EBCA87
	prime2 = 0xC2B2AE3D27D4EB4F
	prime3 = 0x165667B19E3779F9
	prime4 = 0x85EBCA77C2B2AE63
	prime5 = 0x27D4EB2F165667C5
)

// stripeSize is what a lane takes in a round, in bytes: a number for each
// accumulator.
const stripeSize = 32

// accumulators are the state of one hash.
type accumulators [4]uint64

// rounds takes n bytes of each input, a multiple of stripeSize above 0, into its
// accumulators. It needs AVX-512 F, DQ and, for loads of 256 bits, VL.
//
//go:noescape
func rounds(acc *[MaxLanes]accumulators, in *[MaxLanes]*byte, n int)

// lane is the hash of one input under way.
type lane struct {
	part int    // its index
	rest []byte // what is not in the accumulators
}

// lanes are hashes under way, side by side.
type lanes struct {
	acc  [MaxLanes]accumulators
	in   [MaxLanes]*byte
	lane [MaxLanes]lane
	used int
}

func sumMany(dst []uint64, parts [][]byte) {
	var l lanes
	for next := 0; ; {
		for ; l.used < MaxLanes && next < len(parts); next++ {
			if p := parts[next]; len(p) >= stripeSize {
				l.begin(next, p)
			} else {
				dst[next] = xxhash.Sum64(p)
			}
		}
		if l.used == 0 {
			return
		}
		l.run()
		for i := 0; i < l.used; {
			if at := &l.lane[i]; len(at.rest) < stripeSize {
				dst[at.part] = finish(&l.acc[i], at.rest, len(parts[at.part]))
				l.end(i)
			} else {
				i++
			}
		}
	}
}

// begin gives a part the next lane.
func (l *lanes) begin(part int, p []byte) {
	// Prime1+prime2 and -prime1, modulo 2^64.
	l.acc[l.used] = accumulators{prime1 + prime2 - 1<<64, prime2, 0, 1<<64 - prime1}
	l.lane[l.used] = lane{part: part, rest: p}
	l.used++
}

// end puts the last lane in the place of lane i.
func (l *lanes) end(i int) {
	l.used--
	l.acc[i], l.lane[i] = l.acc[l.used], l.lane[l.used]
	l.lane[l.used] = lane{}
}

// run takes all lanes as far as the shortest goes.
func (l *lanes) run() {
	n := len(l.lane[0].rest)
	for _, at := range l.lane[1:l.used] {
		n = min(n, len(at.rest))
	}
	n &^= stripeSize - 1
	for i := range l.in {
		from := i
		if i >= l.used {
			from = 0 // an idle lane takes any input
		}
		l.in[i] = &l.lane[from].rest[0]
	}
	rounds(&l.acc, &l.in, n)
	for i := range l.used {
		l.lane[i].rest = l.lane[i].rest[n:]
	}
}

// finish is the hash of length bytes, of which the accumulators have all but
// rest: steps 3 to 6 of the specification.
func finish(acc *accumulators, rest []byte, length int) uint64 {
	h := bits.RotateLeft64(acc[0], 1) + bits.RotateLeft64(acc[1], 7) + bits.RotateLeft64(acc[2], 12) + bits.RotateLeft64(acc[3], 18)
	for _, a := range acc {
		h = (h^round(a))*prime1 + prime4
	}
	h += uint64(length)
	for ; len(rest) >= 8; rest = rest[8:] {
		h = bits.RotateLeft64(h^round(binary.LittleEndian.Uint64(rest)), 27)*prime1 + prime4
	}
	if len(rest) >= 4 {
		h = bits.RotateLeft64(h^uint64(binary.LittleEndian.Uint32(rest))*prime1, 23)*prime2 + prime3
		rest = rest[4:]
	}
	for _, b := range rest {
		h = bits.RotateLeft64(h^uint64(b)*prime5, 11) * prime1
	}
	h = (h ^ h>>33) * prime2
	h = (h ^ h>>29) * prime3
	return h ^ h>>32
}

// round is what an empty accumulator becomes by x.
func round(x uint64) uint64 { return bits.RotateLeft64(x*prime2, 31) * prime1 }
