package export

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/blockio/nbd"
	"github.com/blockmill/blockmill/pool"
)

// Kind is what an export is of.
type Kind string

// The kinds of exports; they begin the names.
const (
	Image    Kind = "image"
	Snapshot Kind = "snapshot"
	Disk     Kind = "disk"
)

// Thing is what a client wants to use.
type Thing struct {
	Kind     Kind
	ID       string
	Folder   pool.FolderID
	Bindings []pool.Binding
}

// Options say whom a node's things are exported to, and how.
type Options struct {
	// Node and Store are required; both outlive the exports.
	Node  *pool.Node
	Store *cas.Store
	// Folders are those that are listed, and searched for names.
	Folders func() []pool.FolderID
	// Allow says whether a client may read a thing, or write to it. Nil lets
	// everyone do everything.
	Allow func(who nbd.Identity, t Thing, write bool) bool
	// Patience is how long a client's first change waits for a disk that is in
	// use; 0 is 10 seconds.
	Patience time.Duration
}

func (o Options) withDefaults() Options {
	if o.Folders == nil {
		o.Folders = func() []pool.FolderID { return []pool.FolderID{pool.DefaultFolder} }
	}
	if o.Allow == nil {
		o.Allow = func(nbd.Identity, Thing, bool) bool { return true }
	}
	if o.Patience == 0 {
		o.Patience = 10 * time.Second
	}
	return o
}

// Exports are those of a node.
type Exports struct {
	opts    Options
	writers writers
}

// New makes the exports of a node.
func New(opts Options) *Exports {
	e := &Exports{opts: opts.withDefaults()}
	e.writers = writers{node: e.opts.Node, patience: e.opts.Patience, by: make(map[pool.DiskID]*writer)}
	return e
}

// Name is the name of the export of a thing.
func Name(k Kind, id string) string { return string(k) + "/" + id }

// List tells the things of all folders that a client may read, by id.
func (e *Exports) List(_ context.Context, who nbd.Identity) ([]nbd.Listing, error) {
	var out []nbd.Listing
	for t := range e.all("") {
		if e.opts.Allow(who, t.Thing, false) {
			out = append(out, nbd.Listing{Name: Name(t.Kind, t.ID), Description: t.name})
		}
	}
	return out, nil
}

// Open opens the export of a thing that a client may read.
func (e *Exports) Open(ctx context.Context, name string, who nbd.Identity) (*nbd.Export, error) {
	t, err := e.find(name, who)
	if err != nil {
		return nil, fmt.Errorf("open export %q: %w", name, err)
	}
	x, err := e.open(ctx, t, who)
	switch {
	case errors.Is(err, pool.ErrNotFound), errors.Is(err, pool.ErrNotReady):
		err = errors.Join(nbd.ErrNotFound, err)
	case errors.Is(err, pool.ErrInUse):
		err = errors.Join(nbd.ErrBusy, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open export %q: %w", name, err)
	}
	x.Listing = nbd.Listing{Name: Name(t.Kind, t.ID), Description: t.name}
	return x, nil
}

// thing is a Thing that is ready, and what is needed to open it.
type thing struct {
	Thing
	name     string
	manifest cas.ManifestID // of images and snapshots
}

func thingOf[I ~string](k Kind, m pool.Meta[I], manifest cas.ManifestID) thing {
	return thing{Thing{k, string(m.ID), m.Folder, m.Bindings}, m.Name, manifest}
}

// all yields the things that are ready; with a name, those that have it.
func (e *Exports) all(name string) iter.Seq[thing] {
	return func(yield func(thing) bool) {
		for _, f := range e.opts.Folders() {
			q := pool.Query{Folder: f, Name: name}
			for v := range e.opts.Node.Images(q) {
				if v.Status == pool.Ready && !yield(thingOf(Image, v.Meta, v.Manifest)) {
					return
				}
			}
			for v := range e.opts.Node.Snapshots(q) {
				if v.Status == pool.Ready && !yield(thingOf(Snapshot, v.Meta, v.Manifest)) {
					return
				}
			}
			for v := range e.opts.Node.Disks(q) {
				if v.Status == pool.Ready && !yield(thingOf(Disk, v.Meta, cas.ManifestID{})) {
					return
				}
			}
		}
	}
}

// find finds the thing of an export's name. What a client may not read is not
// there.
func (e *Exports) find(name string, who nbd.Identity) (thing, error) {
	kind, rest, ok := strings.Cut(name, "/")
	if !ok || rest == "" {
		return thing{}, nbd.ErrNotFound
	}
	t, err := e.byID(Kind(kind), rest)
	if err == nil && e.opts.Allow(who, t.Thing, false) {
		return t, nil
	}
	var found []thing
	for t := range e.all(rest) {
		if t.Kind == Kind(kind) && e.opts.Allow(who, t.Thing, false) {
			found = append(found, t)
		}
	}
	if len(found) != 1 {
		return thing{}, nbd.ErrNotFound
	}
	return found[0], nil
}

func (e *Exports) byID(k Kind, id string) (thing, error) {
	switch k {
	case Image:
		v, err := e.opts.Node.Image(pool.ImageID(id))
		return thingOf(k, v.Meta, v.Manifest), ready(v.Status, err)
	case Snapshot:
		v, err := e.opts.Node.Snapshot(pool.SnapshotID(id))
		return thingOf(k, v.Meta, v.Manifest), ready(v.Status, err)
	case Disk:
		v, err := e.opts.Node.Disk(pool.DiskID(id))
		return thingOf(k, v.Meta, cas.ManifestID{}), ready(v.Status, err)
	}
	return thing{}, nbd.ErrNotFound
}

func ready(s pool.Status, err error) error {
	if err == nil && s != pool.Ready {
		return pool.ErrNotReady
	}
	return err
}

// preferredRead is the size in bytes of reads that the store likes.
const preferredRead = 64 << 10

func (e *Exports) open(ctx context.Context, t thing, who nbd.Identity) (*nbd.Export, error) {
	if t.Kind == Disk {
		return e.openDisk(ctx, t, who)
	}
	img, err := e.opts.Store.OpenImage(ctx, t.manifest)
	if err != nil {
		return nil, err
	}
	return &nbd.Export{Device: img, ReadOnly: true, PreferredBlock: preferredRead, Close: img.Close}, nil
}

func (e *Exports) openDisk(ctx context.Context, t thing, who nbd.Identity) (*nbd.Export, error) {
	id := pool.DiskID(t.ID)
	d, err := e.opts.Node.OpenDisk(ctx, id)
	if err != nil {
		return nil, err
	}
	x := &nbd.Export{Device: d.Device, Size: d.Size, Close: d.Close}
	x.ReadOnly = d.ReadOnly || !e.opts.Allow(who, t.Thing, true)
	if x.ReadOnly {
		return x, nil
	}
	stay := e.writers.stay(id, who.Peer)
	x.BeginWrite = stay.begin
	x.Close = func() error {
		var err error
		if w, ok := d.Device.(nbd.Writer); ok && stay.writes() {
			err = w.Sync()
		}
		stay.end()
		return errors.Join(err, d.Close())
	}
	return x, nil
}
