package pool_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/pool"
	"github.com/blockmill/blockmill/pool/provision"
)

// withDevice opens a disk as its guest has it.
func (m *diskModel) withDevice(rt *rapid.T, id pool.DiskID, use func(pool.Device) error) error {
	o, err := m.node.OpenDisk(m.t.Context(), id)
	if err != nil {
		m.fail(rt, "%v", err)
	}
	return errors.Join(use(o.Device), o.Close())
}

// hydrate brings a lazy disk over, which its record does not know of, or stops
// half-way.
func (m *diskModel) hydrate(rt *rapid.T) {
	id := anyOf(rt, m.disks)
	d, err := m.node.Disk(id)
	if err != nil {
		m.fail(rt, "%v", err)
	}
	if d.Method != provision.Lazy || d.Base == (cas.ManifestID{}) {
		rt.Skip("no lazy disk")
	}
	ctx, cancel := context.WithTimeout(m.t.Context(), rapid.SampledFrom([]time.Duration{0, time.Millisecond, 300 * time.Millisecond}).Draw(rt, "time"))
	defer cancel()
	err = m.withDevice(rt, id, func(dev pool.Device) error {
		l, ok := dev.(*provision.LazyDisk)
		if !ok {
			return nil // it has come over in the meantime
		}
		err := l.Hydrate(ctx)
		switch {
		case err == nil:
			m.happened["(hydrated)"]++
		case ctx.Err() != nil:
			m.happened["(hydration stopped)"]++
			return nil
		}
		return err
	})
	if err != nil {
		m.fail(rt, "%v", err)
	}
}

// foreground begins and ends work that hydration and refills wait for.
func (m *diskModel) foreground(*rapid.T) {
	if m.calm != nil {
		m.calm()
		m.calm = nil
		return
	}
	m.calm = m.node.Pools().Foreground()
}

// compareFiles looks for maps: a lazy disk has one, and no other. It may have come
// over just now, and the map be about to go, which takes a while where others write
// to the disk.
func (m *diskModel) compareFiles(rt *rapid.T) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	var left []string
	for range 60_000 {
		if left = m.leftMaps(rt); len(left) == 0 {
			return
		}
		<-tick.C
	}
	m.fail(rt, "maps are left over: %v", left)
}

func (m *diskModel) leftMaps(rt *rapid.T) (left []string) {
	maps, err := filepath.Glob(filepath.Join(m.dir, "disks", "*.map"))
	if err != nil {
		m.fail(rt, "%v", err)
	}
	lazy := make(map[string]bool)
	for d := range m.node.Disks(pool.Query{Folder: pool.DefaultFolder}) {
		lazy[string(d.Backing)] = d.Base != (cas.ManifestID{})
	}
	return slices.DeleteFunc(maps, func(path string) bool { return lazy[strings.TrimSuffix(filepath.Base(path), ".map")] })
}
