package blake3

import (
	"sync"

	"github.com/zeebo/blake3"
	"golang.org/x/sys/cpu"
)

var hashers = sync.Pool{New: func() any { return new(hasher) }}

func accelerated() bool { return cpu.X86.HasAVX512F && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL }

func sum256(p []byte) digest {
	if !accelerated() {
		return blake3.Sum256(p)
	}
	if len(p) <= chunkSize {
		return chunk(p, 0, flagRoot)
	}
	h := hashers.Get().(*hasher)
	sum := parentOf(h.children(p, 0), flagRoot)
	h.release()
	return sum
}

func sumMany(dst []digest, parts [][]byte) {
	if !accelerated() {
		for i, p := range parts {
			dst[i] = blake3.Sum256(p)
		}
		return
	}
	h := hashers.Get().(*hasher)
	defer h.release()
	for i, p := range parts {
		switch {
		case len(p) <= chunkSize:
			dst[i] = chunk(p, 0, flagRoot)
		case len(p) > maxChunks*chunkSize:
			h.roots()
			dst[i] = parentOf(h.children(p, 0), flagRoot)
		default:
			if h.used+chunks(p) > maxChunks {
				h.roots()
			}
			h.add(p, 0, &dst[i])
		}
	}
	h.roots()
}
