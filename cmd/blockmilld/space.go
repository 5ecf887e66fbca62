package main

import (
	"fmt"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/blockmill/blockmill/blockio/storedir"
	"github.com/blockmill/blockmill/cmd/bytesize"
)

// space watches the free space of the file systems that the databases are on. They
// write through mapped files, so that a full one would end the process.
type space struct {
	dirs    []string
	reserve int64 // as package storedir has it

	mu    sync.Mutex
	asked time.Time // guarded by mu, as err
	err   error
}

// askEvery is how long an answer of the file systems is good for.
const askEvery = time.Second

// check says whether there is room for new work; ENOSPC.
func (s *space) check() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.asked) < askEvery {
		return s.err
	}
	s.asked, s.err = time.Now(), nil
	for _, dir := range s.dirs {
		free, total := storedir.Space(dir) // what is wrong with it is for its users to say
		want := storedir.Kept(s.reserve, total)
		if free < want {
			s.err = fmt.Errorf("the node has %s left where %s are to stay free: %w", bytesize.Size(free&^(1<<20-1)), bytesize.Size(want&^(1<<20-1)), syscall.ENOSPC)
		}
	}
	return s.err
}

// goOn are the beginnings of the names of mutations that need no space, or give
// some back.
var goOn = [...]string{"Delete", "Cancel", "CollectGarbage", "Scrub", "Attach"}

// refuse refuses a mutation for which there is no room.
func (s *space) refuse(method string) error {
	name := method[strings.LastIndexByte(method, '/')+1:]
	for _, prefix := range goOn {
		if strings.HasPrefix(name, prefix) {
			return nil
		}
	}
	return s.check()
}

// freeBytes is the free space of the file system of a directory, 0 when it does not
// tell.
func freeBytes(dir string) int64 {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0
	}
	return int64(st.Bavail) * st.Bsize
}

// fileSystem names the kind of a directory's file system, as far as disks are made
// differently on it.
func fileSystem(dir string) string {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return ""
	}
	switch st.Type {
	case unix.XFS_SUPER_MAGIC:
		return "xfs"
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs"
	case unix.EXT4_SUPER_MAGIC:
		return "ext4"
	case unix.TMPFS_MAGIC:
		return "tmpfs"
	}
	return "other"
}
