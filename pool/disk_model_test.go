package pool_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/pool"
	"github.com/blockmill/blockmill/pool/provision"
	"github.com/blockmill/blockmill/pool/ready"
)

// TestDiskModel plays random steps against a node: images and disks come and
// go, lazy ones among them, which come over in part, in whole or not at all; guests
// write, garbage is collected, the process ends well or dies at any change of the
// disk directory. BLOCKMILL_MODEL_STEPS says how many steps;
// TMPDIR in memory makes many of them quick.
func TestDiskModel(t *testing.T) {
	steps := int64(500)
	if s := os.Getenv("BLOCKMILL_MODEL_STEPS"); s != "" {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		steps = n
	}
	setFlag(t, "rapid.checks", "10")
	setFlag(t, "rapid.steps", "500")
	setFlag(t, "rapid.shrinktime", "1s")
	setFlag(t, "rapid.nofailfile", "true")
	var done atomic.Int64
	happened := make(map[string]int64)
	for done.Load() < steps && !t.Failed() {
		rapid.Check(t, func(rt *rapid.T) {
			m := newDiskModel(t, rt)
			m.happened = happened
			defer m.end(rt)
			actions := m.actions()
			for name, action := range actions {
				actions[name] = func(rt *rapid.T) { action(rt); done.Add(1); happened[strings.TrimRight(name, " 23")]++ }
			}
			rt.Repeat(actions)
		})
	}
	t.Logf("%d steps: %v", done.Load(), happened)
}

func setFlag(t *testing.T, name, value string) {
	t.Helper()
	old := flag.Lookup(name).Value.String()
	if err := flag.Set(name, value); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := flag.Set(name, old); err != nil {
			t.Error(err)
		}
	})
}

// diskModel is what a node should have.
type diskModel struct {
	t     *testing.T
	dir   string
	store *cas.Store
	node  *pool.Node

	images    map[pool.ImageID]string // what they hold at the places
	snapshots map[pool.SnapshotID]string
	disks     map[pool.DiskID]string
	unsure    map[pool.DiskID]string // being made or removed when the process died
	writes    int
	happened  map[string]int64 // how often what did, over all models
	calm      func()           // ends foreground work that background work waits for; nil when there is none

	// die counts down the changes of the disk directory until the process is
	// dead; 0 is never.
	die  atomic.Int64
	dead atomic.Bool
}

var errDead = errors.New("the process is dead")

func newDiskModel(t *testing.T, rt *rapid.T) *diskModel {
	v := blockiotest.NewMemVolume()
	opts := cas.Options{Volume: v, Arena: blockio.NewArena(24 << 20), SegmentSize: 1 << 20, BufferSize: 1 << 20, Buffers: 4, ReadBuffers: 2, IndexMemory: 1 << 20}
	if err := cas.Init(t.Context(), opts); err != nil {
		rt.Fatal(err)
	}
	s, err := cas.Open(t.Context(), opts)
	if err != nil {
		rt.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "model")
	if err != nil {
		rt.Fatal(err)
	}
	m := &diskModel{
		t: t, dir: dir, store: s,
		images: map[pool.ImageID]string{}, snapshots: map[pool.SnapshotID]string{},
		disks: map[pool.DiskID]string{}, unsure: map[pool.DiskID]string{},
	}
	m.open(rt)
	return m
}

// fail ends the test. What goes on at a time is not the same twice, so the
// reason is also told where rapid's attempts to repeat it do not hide it.
func (m *diskModel) fail(rt *rapid.T, format string, args ...any) {
	m.t.Logf("model: "+format, args...)
	rt.Fatalf(format, args...)
}

func (m *diskModel) step(string) error {
	if m.dead.Load() || m.die.Load() > 0 && m.die.Add(-1) == 0 {
		m.dead.Store(true)
		return errDead
	}
	return nil
}

func (m *diskModel) open(rt *rapid.T) {
	n, err := pool.Open(m.t.Context(), pool.Options{
		Store: m.store, Arena: blockio.NewArena(24 << 20),
		Disks: []provision.Options{{Path: m.dir, Reserve: -1, Step: m.step}},
	})
	if err != nil {
		m.fail(rt, "%v", err)
	}
	m.node = n
}

// restart opens the node anew, and compares it with the model.
func (m *diskModel) restart(rt *rapid.T) {
	for _, p := range m.node.Pools().Stats() {
		m.happened["(claim of a ready disk)"] += p.Hits
		m.happened["(refill)"] += p.Refills
	}
	if m.dead.Load() {
		m.happened["(death)"]++
	}
	m.calm = nil
	if err := m.node.Close(); err != nil {
		m.fail(rt, "%v", err)
	}
	m.die.Store(0)
	m.dead.Store(false)
	m.open(rt)
	for id, text := range m.unsure {
		if _, err := m.node.Disk(id); err == nil {
			m.disks[id] = text
		}
	}
	clear(m.unsure)
	m.compare(rt)
}

// died says whether an error is the process's death, and restarts it then. Any
// other error is a failure.
func (m *diskModel) died(rt *rapid.T, err error) bool {
	switch {
	case err == nil && !m.dead.Load():
		return false
	case m.dead.Load():
		m.restart(rt)
		return true
	}
	m.fail(rt, "%v", err)
	return true
}

func (m *diskModel) end(rt *rapid.T) {
	m.restart(rt)
	for id := range m.disks {
		if err := m.node.DeleteDisk(m.t.Context(), id); err != nil {
			m.fail(rt, "%v", err)
		}
	}
	for id := range m.images {
		if err := m.node.DeleteImage(m.t.Context(), id); err != nil {
			m.fail(rt, "%v", err)
		}
	}
	for id := range m.snapshots {
		if err := m.node.DeleteSnapshot(m.t.Context(), id); err != nil {
			m.fail(rt, "%v", err)
		}
	}
	if err := m.node.Close(); err != nil {
		m.fail(rt, "%v", err)
	}
	if _, err := m.store.GC(m.t.Context(), cas.GCOptions{}); err != nil {
		m.fail(rt, "%v", err)
	}
	st, err := m.store.Stat(m.t.Context())
	if err != nil || len(st.Images) > 0 || st.SegmentBytes > 0 {
		m.fail(rt, "%d manifests and %d bytes of segments are left, %v", len(st.Images), st.SegmentBytes, err)
	}
	if filesIn(m.t, m.dir) > 0 {
		left, err := filepath.Glob(filepath.Join(m.dir, "*", "*"))
		m.fail(rt, "files are left: %v, %v", left, err)
	}
	if err := errors.Join(m.store.Close(), os.RemoveAll(m.dir)); err != nil {
		m.fail(rt, "%v", err)
	}
}

// modelText is how many bytes contents have at each place, of which two are in one
// block of a lazy disk, and one is in other regions, two of them.
const modelText = 16

var (
	modelPlaces = [3]int64{0, 100, 3<<20 - 5}
	modelBlank  = string(make([]byte, len(modelPlaces)*modelText))
)

// atPlace is a content with another text at a place.
func atPlace(content string, place int, text string) string {
	return content[:place*modelText] + text + content[(place+1)*modelText:]
}

func (m *diskModel) text(prefix string) string {
	m.writes++
	return fmt.Sprintf("%-*s", modelText, fmt.Sprintf("%s%d", prefix, m.writes))
}

func anyOf[K ~string](rt *rapid.T, of map[K]string) K {
	if len(of) == 0 {
		rt.Skip("none")
	}
	return rapid.SampledFrom(slices.Sorted(maps.Keys(of))).Draw(rt, "which")
}

func (m *diskModel) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"make image":      m.makeImage,
		"create disk":     m.createDisk,
		"create disk 2":   m.createDisk,
		"create disk 3":   m.createDisk,
		"delete disk":     m.deleteDisk,
		"delete disk 2":   m.deleteDisk,
		"write":           m.write,
		"write 2":         m.write,
		"hydrate":         m.hydrate,
		"hydrate 2":       m.hydrate,
		"foreground":      m.foreground,
		"grow":            m.grow,
		"snapshot":        m.snapshot,
		"image of disk":   m.imageOfDisk,
		"delete image":    m.deleteImage,
		"delete snapshot": m.deleteSnapshot,
		"set pool":        m.setPool,
		"read":            m.read,
		"collect":         m.collect,
		"restart":         m.maybeRestart,
		"die":             m.dieSoon,
	}
}

func (m *diskModel) makeImage(rt *rapid.T) {
	if len(m.images) >= 4 {
		rt.Skip("enough")
	}
	text := m.text("image")
	img := pool.Image{Pooled: rapid.Bool().Draw(rt, "pooled")}
	img, err := m.node.ReserveImage(img)
	if err == nil {
		img, err = m.node.FillImage(m.t.Context(), img.ID, content(m.t, m.node, text))
	}
	if err != nil {
		m.fail(rt, "%v", err)
	}
	m.images[img.ID] = atPlace(modelBlank, 0, text)
}

func (m *diskModel) createDisk(rt *rapid.T) {
	if len(m.disks) >= 12 {
		rt.Skip("enough")
	}
	d := pool.Disk{Size: rapid.SampledFrom([]int64{4 << 20, 4 << 20, 8 << 20}).Draw(rt, "size")}
	text := modelBlank
	switch rapid.IntRange(0, 9).Draw(rt, "source") {
	case 0:
	case 1:
		d.Source.Snapshot = anyOf(rt, m.snapshots)
		snap, err := m.node.Snapshot(d.Source.Snapshot)
		if err != nil {
			m.fail(rt, "%v", err)
		}
		d.Size = max(d.Size, snap.VirtualSize)
		text = m.snapshots[d.Source.Snapshot]
	default:
		d.Source.Image = anyOf(rt, m.images)
		img, err := m.node.Image(d.Source.Image)
		if err != nil {
			m.fail(rt, "%v", err)
		}
		d.Size = max(d.Size, img.MinDiskSize)
		text = m.images[d.Source.Image]
		d.Method = rapid.SampledFrom([]provision.Method{"", "", provision.Overlay, provision.Copy, provision.Lazy, provision.Lazy}).Draw(rt, "method")
	}
	d, err := m.node.ReserveDisk(d)
	if err != nil {
		m.fail(rt, "%v", err)
	}
	m.unsure[d.ID] = text
	_, err = m.node.MakeDisk(m.t.Context(), d.ID, nil)
	if m.died(rt, err) {
		return
	}
	delete(m.unsure, d.ID)
	m.disks[d.ID] = text
}

func (m *diskModel) deleteDisk(rt *rapid.T) {
	id := anyOf(rt, m.disks)
	m.unsure[id] = m.disks[id]
	delete(m.disks, id)
	if m.died(rt, m.node.DeleteDisk(m.t.Context(), id)) {
		return
	}
	delete(m.unsure, id)
}

// write is a guest that writes to a raw disk, or writes and zeroes by way of the node
// to a lazy one.
func (m *diskModel) write(rt *rapid.T) {
	id := anyOf(rt, m.disks)
	d, err := m.node.Disk(id)
	if err != nil {
		m.fail(rt, "%v", err)
	}
	if d.Format != "raw" {
		rt.Skip("no raw disk")
	}
	place := rapid.IntRange(0, len(modelPlaces)-1).Draw(rt, "place")
	text := m.text("guest")
	switch {
	case d.Method != provision.Lazy:
		f, openErr := os.OpenFile(filepath.Join(d.Dir, "disks", string(d.Backing)+".raw"), os.O_RDWR, 0)
		if openErr != nil {
			m.fail(rt, "%v", openErr)
		}
		_, err = f.WriteAt([]byte(text), modelPlaces[place])
		err = errors.Join(err, f.Close())
	case rapid.IntRange(0, 4).Draw(rt, "zero") == 0:
		text = modelBlank[:modelText]
		err = m.withDevice(rt, id, func(dev pool.Device) error {
			return dev.(interface{ PunchHole(off, n int64) error }).PunchHole(modelPlaces[place], modelText)
		})
	default:
		err = m.withDevice(rt, id, func(dev pool.Device) error {
			_, err := dev.(io.WriterAt).WriteAt([]byte(text), modelPlaces[place])
			return err
		})
	}
	if err != nil {
		m.fail(rt, "%v", err)
	}
	m.disks[id] = atPlace(m.disks[id], place, text)
}

func (m *diskModel) grow(rt *rapid.T) {
	id := anyOf(rt, m.disks)
	d, err := m.node.Disk(id)
	if err != nil {
		m.fail(rt, "%v", err)
	}
	if d.Size >= 16<<20 {
		rt.Skip("large enough")
	}
	_, err = m.node.GrowDisk(m.t.Context(), id, d.Size+4<<20)
	m.died(rt, err)
}

func (m *diskModel) snapshot(rt *rapid.T) {
	if len(m.snapshots) >= 3 {
		rt.Skip("enough")
	}
	id := anyOf(rt, m.disks)
	snap, err := m.node.ReserveSnapshot(pool.Snapshot{SourceDisk: id})
	if err == nil {
		snap, err = m.node.MakeSnapshot(m.t.Context(), snap.ID, nil)
	}
	if m.died(rt, err) {
		if _, err := m.node.Snapshot(snap.ID); err == nil {
			m.snapshots[snap.ID] = m.disks[id]
		}
		return
	}
	m.snapshots[snap.ID] = m.disks[id]
}

func (m *diskModel) imageOfDisk(rt *rapid.T) {
	if len(m.images) >= 4 {
		rt.Skip("enough")
	}
	id := anyOf(rt, m.disks)
	img, err := m.node.ReserveImage(pool.Image{Source: pool.Source{Disk: id}, Pooled: rapid.Bool().Draw(rt, "pooled")})
	if err == nil {
		img, err = m.node.MakeImageOfDisk(m.t.Context(), img.ID, nil, nil)
	}
	if m.died(rt, err) {
		if _, err := m.node.Image(img.ID); err == nil {
			m.images[img.ID] = m.disks[id]
		}
		return
	}
	m.images[img.ID] = m.disks[id]
}

func (m *diskModel) deleteImage(rt *rapid.T) {
	id := anyOf(rt, m.images)
	err := m.node.DeleteImage(m.t.Context(), id)
	delete(m.images, id)
	m.died(rt, err)
}

func (m *diskModel) deleteSnapshot(rt *rapid.T) {
	id := anyOf(rt, m.snapshots)
	err := m.node.DeleteSnapshot(m.t.Context(), id)
	delete(m.snapshots, id)
	m.died(rt, err)
}

func (m *diskModel) setPool(rt *rapid.T) {
	id := anyOf(rt, m.images)
	s := ready.Settings{Capacity: rapid.IntRange(0, 3).Draw(rt, "capacity")}
	if _, err := m.node.SetPool(m.t.Context(), id, s); err != nil && !errors.Is(err, pool.ErrNotPooled) {
		m.died(rt, err)
	}
}

func (m *diskModel) read(rt *rapid.T) { m.readDisk(rt, anyOf(rt, m.disks)) }

func (m *diskModel) readDisk(rt *rapid.T, id pool.DiskID) {
	d, err := m.node.Disk(id)
	if err != nil {
		m.fail(rt, "%v", err)
	}
	p := make([]byte, len(modelBlank))
	read := func(r io.ReaderAt) error {
		for i, off := range modelPlaces {
			if _, err := r.ReadAt(p[i*modelText:][:modelText], off); err != nil {
				return err
			}
		}
		return nil
	}
	if d.Method == provision.Lazy {
		if d.Base != (cas.ManifestID{}) {
			m.happened["(read of a lazy disk)"]++
		} else {
			m.happened["(read of one that came over)"]++
		}
		err = m.withDevice(rt, id, func(dev pool.Device) error { return read(dev) })
	} else {
		c, openErr := m.node.Directories()[0].Open(m.t.Context(), provision.Backing{ID: d.Backing, Dir: d.Dir, Method: d.Method, Format: d.Format, Size: d.Size})
		if openErr != nil {
			m.fail(rt, "%v", openErr)
		}
		err = errors.Join(read(c), c.Close())
	}
	if err != nil {
		m.fail(rt, "%v", err)
	}
	if want := m.disks[id]; !bytes.Equal(p, []byte(want)) {
		m.fail(rt, "disk %s made by %s holds %q, want %q", id, d.Method, p, want)
	}
}

func (m *diskModel) collect(rt *rapid.T) {
	if rapid.IntRange(0, 4).Draw(rt, "rarely") > 0 {
		rt.Skip("not now")
	}
	if _, err := m.store.GC(m.t.Context(), cas.GCOptions{}); err != nil {
		m.fail(rt, "%v", err)
	}
	r, err := m.store.Check(m.t.Context())
	if err != nil || r.Found > 0 {
		m.fail(rt, "check: %v, %v", r.Problems, err)
	}
}

func (m *diskModel) maybeRestart(rt *rapid.T) {
	if rapid.IntRange(0, 4).Draw(rt, "rarely") > 0 {
		rt.Skip("not now")
	}
	m.restart(rt)
}

func (m *diskModel) dieSoon(rt *rapid.T) { m.die.Store(rapid.Int64Range(1, 20).Draw(rt, "changes")) }

// compare holds a node that was just opened against the model.
func (m *diskModel) compare(rt *rapid.T) {
	have := map[pool.BackingID]pool.DiskID{}
	n := 0
	for d := range m.node.Disks(pool.Query{Folder: pool.DefaultFolder}) {
		if _, ok := m.disks[d.ID]; !ok {
			m.fail(rt, "disk %s is back", d.ID)
		}
		if other, twice := have[d.Backing]; twice {
			m.fail(rt, "disks %s and %s have one file", d.ID, other)
		}
		have[d.Backing] = d.ID
		n++
	}
	if n != len(m.disks) {
		m.fail(rt, "%d disks, want %d", n, len(m.disks))
	}
	m.compareFiles(rt)
	for id := range m.disks {
		m.readDisk(rt, id)
	}
	for id := range m.images {
		if _, err := m.node.Image(id); err != nil {
			m.fail(rt, "%v", err)
		}
	}
}
