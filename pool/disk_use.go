package pool

import (
	"fmt"
	"sync"
)

// diskUses says who uses which disks: one who writes, or any number who rely on
// it staying as it is. The zero value works.
type diskUses struct {
	mu sync.Mutex
	by map[DiskID]*diskUse // guarded by mu
}

type diskUse struct {
	writing bool
	readers int
}

// acquire takes a disk until release is called; ErrInUse when that cannot be
// now.
func (u *diskUses) acquire(id DiskID, write bool) (release func(), err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	use := u.by[id]
	switch {
	case use == nil:
		use = &diskUse{}
	case use.writing:
		return nil, fmt.Errorf("disk %s is open for writing: %w", id, ErrInUse)
	case write:
		return nil, fmt.Errorf("disk %s is being read: %w", id, ErrInUse)
	}
	if u.by == nil {
		u.by = make(map[DiskID]*diskUse)
	}
	u.by[id] = use
	if use.writing = write; !write {
		use.readers++
	}
	return sync.OnceFunc(func() { u.release(id, use) }), nil
}

func (u *diskUses) release(id DiskID, use *diskUse) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if use.writing {
		use.writing = false
	} else {
		use.readers--
	}
	if use.readers == 0 {
		delete(u.by, id)
	}
}

// UseDisk takes a disk for one who writes to it, alone, or for one who relies on
// it staying as it is, until release is called. ErrInUse says that it cannot be
// had now.
func (n *Node) UseDisk(id DiskID, write bool) (d Disk, release func(), err error) {
	release, err = n.uses.acquire(id, write)
	if err != nil {
		return Disk{}, nil, err
	}
	if d, err = n.readyDisk(id); err != nil {
		release()
		return d, nil, err
	}
	return d, release, nil
}
