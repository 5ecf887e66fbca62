package qcow2_test

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// The image that forge makes: nine clusters of 16 KiB, eight guest clusters.
const (
	forgedCluster  = 16 << 10
	forgedRefTable = 1 * forgedCluster
	forgedRefBlock = 2 * forgedCluster
	forgedL1       = 3 * forgedCluster
	forgedL2       = 4 * forgedCluster
	forgedData     = 5 * forgedCluster // three clusters for guest clusters 0 to 2
	forgedPacked   = 8 * forgedCluster // the stream of guest cluster 3
	forgedClusters = 9
	forgedSize     = 8 * forgedCluster

	copied         = 1 << 63
	compressed     = 1 << 62
	forgedSectorAt = 62 - (14 - 8) // the shift of a compressed cluster's sectors
)

// forged is an image made byte by byte, to be broken.
type forged []byte

func (f forged) set32(off int, v uint32) { binary.BigEndian.PutUint32(f[off:], v) }
func (f forged) set64(off int, v uint64) { binary.BigEndian.PutUint64(f[off:], v) }
func (f forged) get64(off int) uint64    { return binary.BigEndian.Uint64(f[off:]) }

// setL2 sets an L2 entry of the table at forgedL2.
func (f forged) setL2(i int, v uint64) { f.set64(forgedL2+i*8, v) }

// setRefcount sets the 16 bits of a host cluster.
func (f forged) setRefcount(cluster int, n uint16) {
	binary.BigEndian.PutUint16(f[forgedRefBlock+cluster*2:], n)
}

// grow appends clusters, in use.
func (f forged) grow(n int) forged {
	for range n {
		f = append(f, make([]byte, forgedCluster)...)
		f.setRefcount(len(f)/forgedCluster-1, 1)
	}
	return f
}

// extension puts a header extension behind the header.
func (f forged) extension(kind uint32, data []byte) int {
	at := 112
	for binary.BigEndian.Uint32(f[at:]) != 0 {
		at += 8 + (int(binary.BigEndian.Uint32(f[at+4:]))+7)&^7
	}
	f.set32(at, kind)
	f.set32(at+4, uint32(len(data)))
	copy(f[at+8:], data)
	return at
}

// pack puts a stream at forgedPacked, for guest cluster 3.
func (f forged) pack(stream []byte) {
	clear(f[forgedPacked:][:forgedCluster])
	copy(f[forgedPacked:], stream)
	sectors := uint64(len(stream)-1) / 512
	f.setL2(3, compressed|sectors<<forgedSectorAt|forgedPacked)
}

// forge makes a sound image of version 3: clusters 0 to 2 plain, 3 zlib, 4
// zero, the others unallocated.
func forge() forged {
	f := make(forged, forgedClusters*forgedCluster)
	f.set32(0, 0x514649fb)
	f.set32(4, 3)
	f.set32(20, 14)
	f.set64(24, forgedSize)
	f.set32(36, 1)
	f.set64(40, forgedL1)
	f.set64(48, forgedRefTable)
	f.set32(56, 1)
	f.set32(96, 4)
	f.set32(100, 112)
	f.set64(forgedRefTable, forgedRefBlock)
	for i := range forgedClusters {
		f.setRefcount(i, 1)
	}
	f.set64(forgedL1, forgedL2|copied)
	for i := range 3 {
		f.setL2(i, uint64(forgedData+i*forgedCluster)|copied)
		copy(f[forgedData+i*forgedCluster:], bytes.Repeat([]byte{byte('a' + i)}, forgedCluster))
	}
	f.pack(deflated(clusterOf('p', forgedCluster)))
	f.setL2(4, 1)
	return f
}

// forgeExtended is forge with extended L2 entries; cluster 0 has subclusters 0
// stored, 1 zero and the others unallocated.
func forgeExtended() forged {
	f := forge()
	f.set64(72, 1<<4)
	clear(f[forgedL2:][:forgedCluster])
	f.set64(forgedL2, forgedData|copied)
	f.set64(forgedL2+8, 1|1<<33)
	return f
}

// forgeZstd is forge with zstd in cluster 3.
func forgeZstd(t testing.TB) forged {
	f := forge()
	f.set64(72, 1<<3)
	f[104] = 1
	f.pack(zstdOf(t, clusterOf('p', forgedCluster)))
	return f
}

// forgeSnapshot is forge with a snapshot of the same tables.
func forgeSnapshot() forged {
	f := forge().grow(2)
	table, l1 := 9*forgedCluster, 10*forgedCluster
	f.set32(60, 1)
	f.set64(64, uint64(table))
	f.set64(table, uint64(l1))
	f.set32(table+8, 1)
	f.set32(table+12, 1<<16|4) // lengths of ID and name
	f.set32(table+36, 16)
	f.set64(table+48, forgedSize)
	copy(f[table+56:], "1name")
	f.set64(l1, forgedL2)
	for i := range 3 {
		f.setL2(i, uint64(forgedData+i*forgedCluster))
	}
	f.set64(forgedL1, forgedL2)
	for i := 4; i < forgedClusters; i++ {
		f.setRefcount(i, 2)
	}
	return f
}

// forgeBitmap is forge with one bitmap of one cluster.
func forgeBitmap() forged {
	f := forge().grow(3)
	directory, table, data := 9*forgedCluster, 10*forgedCluster, 11*forgedCluster
	f.set64(88, 1)
	ext := f.extension(0x23852875, make([]byte, 24))
	f.set32(ext+8, 1)
	f.set64(ext+16, 32)
	f.set64(ext+24, uint64(directory))
	f.set64(directory, uint64(table))
	f.set32(directory+8, 1)
	f[directory+16], f[directory+17] = 1, 16
	f[directory+19] = 4
	copy(f[directory+24:], "name")
	f.set64(table, uint64(data))
	return f
}

func clusterOf(b byte, n int) []byte { return bytes.Repeat([]byte{b}, n) }

// letters is text that compresses to about a half.
func letters(n int) []byte {
	rnd := rand.New(rand.NewPCG(1, 2))
	p := make([]byte, n)
	for i := range p {
		p[i] = "etaoin shrdlu"[rnd.IntN(13)]
	}
	return p
}

func deflated(p []byte) []byte {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestSpeed)
	if err != nil {
		panic(err)
	}
	if _, err := w.Write(p); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

func zstdOf(t testing.TB, p []byte) []byte {
	t.Helper()
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	return enc.EncodeAll(p, nil)
}
