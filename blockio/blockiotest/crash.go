package blockiotest

import (
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/blockmill/blockmill/blockio"
)

// Fate is what a crash does to what was not synced.
type Fate uint8

const (
	// Lost goes back to the last sync.
	Lost Fate = iota
	// Kept keeps all.
	Kept
	// Torn keeps or loses each part of its own: each block of a file, each
	// entry of a directory.
	Torn
)

func (f Fate) String() string { return [...]string{"lost", "kept", "torn"}[f] }

// Crash says what a crash leaves.
type Crash struct {
	Data  Fate   // of files' contents
	Names Fate   // of directories' entries: creations, renames, removals
	Seed  uint64 // decides what is torn
}

func (c Crash) String() string {
	return fmt.Sprintf("data %s, names %s, seed %d", c.Data, c.Names, c.Seed)
}

// CrashClone is the volume as it could be found after a crash now. The clone
// is independent, opened, and without faults, hook and dropped syncs.
func (v *MemVolume) CrashClone(c Crash) *MemVolume {
	v.fs.mu.Lock()
	cr := crasher{Crash: c, rng: rand.New(rand.NewPCG(c.Seed, 0)), inodes: map[*inode]*inode{}}
	m := &memFS{root: cr.directory(v.fs.root), counts: map[OpKind]int{}}
	v.fs.mu.Unlock()
	return openMem(m)
}

// CrashClones yields the volume after different crashes now: contents and
// names lost and kept, in every combination, and torn in a few ways.
func (v *MemVolume) CrashClones() iter.Seq2[Crash, *MemVolume] {
	return func(yield func(Crash, *MemVolume) bool) {
		crashes := []Crash{
			{Data: Lost, Names: Lost},
			{Data: Kept, Names: Kept},
			{Data: Lost, Names: Kept},
			{Data: Kept, Names: Lost},
		}
		for seed := range uint64(4) {
			crashes = append(crashes, Crash{Data: Torn, Names: Torn, Seed: seed})
		}
		crashes = append(crashes, Crash{Data: Torn, Names: Kept, Seed: 4})
		for _, c := range crashes {
			if !yield(c, v.CrashClone(c)) {
				return
			}
		}
	}
}

// crasher copies a file system as a crash leaves it.
type crasher struct {
	Crash
	rng    *rand.Rand
	inodes map[*inode]*inode // copied, since one may have two names
}

// keeps decides the fate of one part.
func (c *crasher) keeps(f Fate) bool {
	return f == Kept || f == Torn && c.rng.IntN(2) == 0
}

func (c *crasher) directory(d *directory) *directory {
	names := maps.Clone(d.synced)
	maps.Copy(names, d.now)
	left := newDirectory()
	for _, name := range slices.Sorted(maps.Keys(names)) {
		entry, there := d.synced[name]
		if now, ok := d.now[name]; (now != entry || ok != there) && c.keeps(c.Names) {
			entry, there = now, ok
		}
		if !there {
			continue
		}
		switch entry := entry.(type) {
		case *inode:
			left.now[name] = c.file(entry)
		case *directory:
			left.now[name] = c.directory(entry)
		}
	}
	left.synced = maps.Clone(left.now)
	return left
}

func (c *crasher) file(node *inode) *inode {
	if done, ok := c.inodes[node]; ok {
		return done
	}
	left := node.synced.clone()
	switch c.Data {
	case Kept:
		left = node.now.clone()
	case Torn:
		left = c.tear(node)
	}
	done := &inode{now: left, synced: left.clone()}
	c.inodes[node] = done
	return done
}

// tear mixes the blocks of before and after. The length is one of the two or
// between them.
func (c *crasher) tear(node *inode) contents {
	left := node.synced.clone()
	if now := node.now.size; now != left.size {
		switch c.rng.IntN(3) {
		case 0:
			left.resize(now)
		case 1:
			least, most := min(now, left.size), max(now, left.size)
			between := (least + c.rng.Int64N(most-least)) / blockio.BlockSize * blockio.BlockSize
			left.resize(max(least, between))
		}
	}
	for i := range min(len(left.blocks), len(node.now.blocks)) {
		same := i < len(node.synced.blocks) && slices.Equal(node.synced.blocks[i], node.now.blocks[i])
		if !same && c.keeps(Torn) {
			left.blocks[i] = node.now.blocks[i]
		}
	}
	return left
}
