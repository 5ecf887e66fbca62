package blockiotest

import (
	"fmt"

	"github.com/blockmill/blockmill/blockio"
)

// MemVolume is a Volume in memory that can crash and fail on demand.
type MemVolume struct {
	*blockio.DirVolume
	fs *memFS
}

var _ blockio.Volume = (*MemVolume)(nil)

// NewMemVolume makes an empty volume.
func NewMemVolume() *MemVolume { return openMem(newMemFS()) }

// NewJournaledMemVolume makes an empty volume with a journal of a size, which Close
// ends. Volumes that are opened after it have none.
func NewJournaledMemVolume(size int64) *MemVolume {
	v := NewMemVolume()
	if err := v.StartJournal(size); err != nil {
		panic(fmt.Sprintf("blockiotest: %v", err))
	}
	return v
}

// openMem opens the volume on a file system that has no faults yet.
func openMem(m *memFS) *MemVolume {
	v, err := blockio.NewVolumeOn("memory", m)
	if err != nil {
		panic(fmt.Sprintf("blockiotest: %v", err))
	}
	return &MemVolume{DirVolume: v, fs: m}
}

// Reopen opens the volume again, as after the process was killed: what was not
// synced is still there, and still not synced. The old volume must not be used
// any more. Faults, hook and dropped syncs are gone.
func (v *MemVolume) Reopen() *MemVolume {
	v.fs.mu.Lock()
	m := &memFS{root: v.fs.root, counts: map[OpKind]int{}}
	v.fs.mu.Unlock()
	return openMem(m)
}

// Changes counts the calls so far that change something. A fault or a crash
// can be placed at each.
func (v *MemVolume) Changes() int {
	v.fs.mu.Lock()
	defer v.fs.mu.Unlock()
	return v.fs.seq
}

// Count counts the calls so far of the given kinds.
func (v *MemVolume) Count(kinds OpKind) int {
	v.fs.mu.Lock()
	defer v.fs.mu.Unlock()
	n := 0
	for kind, count := range v.fs.counts {
		if kind&kinds != 0 {
			n += count
		}
	}
	return n
}

// OpenFiles counts the files that are open: 0 when nothing leaks.
func (v *MemVolume) OpenFiles() int {
	v.fs.mu.Lock()
	defer v.fs.mu.Unlock()
	return v.fs.open
}

// OnChange has hook called before each call that changes something; it may
// take crash clones. Concurrent changes call it concurrently.
func (v *MemVolume) OnChange(hook func(Op)) {
	v.fs.mu.Lock()
	defer v.fs.mu.Unlock()
	v.fs.hook = hook
}

// DropSyncs makes the syncs (OpSync, OpSyncDir) that match do nothing and say
// that all is well.
func (v *MemVolume) DropSyncs(match func(Op) bool) {
	v.fs.mu.Lock()
	defer v.fs.mu.Unlock()
	v.fs.drop = match
}
