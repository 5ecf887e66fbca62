package pool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/convert"
	"github.com/blockmill/blockmill/pool/provision"
	"github.com/blockmill/blockmill/pool/ready"
)

// Options configure a node. Store is required, everything else has a default.
type Options struct {
	// Store is where the bytes and the records are. It stays the caller's,
	// who closes it after the node.
	Store *cas.Store
	// Arena gives the memory of imports and of disks that are copied; nil makes one
	// of ArenaSize.
	Arena *blockio.Arena
	// DefaultFolder is the folder of records that name none.
	DefaultFolder FolderID
	// Formats are those that images may come in; nil is all.
	Formats []convert.Format
	// MaxVirtualSize is the largest image in bytes; 0 leaves it to the
	// formats.
	MaxVirtualSize int64
	// Disks are the disk directories, the preferred first; Store,
	// Arena and Logger are the node's. Without one the node makes no disks.
	Disks []provision.Options
	// Ready says how ready disks are kept; Maker and Logger are the node's.
	Ready ready.Options
	// NBDURI gives the address of the NBD export of a disk; nil without a
	// server.
	NBDURI func(DiskID) string
	// Workers, Share and Background are those of imports; see convert.Options.
	Workers    int
	Share      *convert.Share
	Background func()
	// Logger hears of what went wrong and had no caller to tell.
	Logger *slog.Logger
	// Clock says when things are made.
	Clock func() time.Time
}

// ArenaSize is the memory in bytes that a node's imports have by default.
const ArenaSize = 256 << 20

func (o Options) withDefaults() Options {
	if o.Arena == nil {
		o.Arena = blockio.NewArena(ArenaSize)
	}
	if o.DefaultFolder == "" {
		o.DefaultFolder = DefaultFolder
	}
	if o.Formats == nil {
		o.Formats = convert.Formats()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return o
}

func (o Options) validate() error {
	if o.Store == nil {
		return errors.New("no store")
	}
	return nil
}

// Node makes, changes and removes the things of one store.
type Node struct {
	opts Options
	tables
	damage error // immutable
	dirs   []*provision.Directory
	uses   diskUses
	open   openDisks
	stock  *ready.Stock

	hydration *hydration
	deferred  *deferred
}

// Open reads the records of the store, and puts the disk directories in order.
func Open(ctx context.Context, opts Options) (*Node, error) {
	opts = opts.withDefaults()
	if err := opts.validate(); err != nil {
		return nil, fmt.Errorf("open node: %w", err)
	}
	c, err := openCatalog(ctx, opts.Store, opts.DefaultFolder)
	if err != nil {
		return nil, fmt.Errorf("open node: %w", err)
	}
	n := &Node{opts: opts, tables: c.tables, damage: c.Damage(), hydration: newHydration()}
	n.deferred = newDeferred(n.disks.flush, opts.Logger)
	if err := n.openDisks(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open node: %w", err), n.Close())
	}
	n.hydrateAll()
	return n, nil
}

// Close ends refills and hydration, writes the records that were deferred, and
// gives the disk directories back. No call may be under way.
func (n *Node) Close() error {
	n.hydration.stop()
	if n.stock != nil {
		n.stock.Stop()
	}
	n.deferred.stop()
	var errs []error
	for _, d := range n.dirs {
		errs = append(errs, d.Close())
	}
	return errors.Join(errs...)
}

// Submissions gives what makers have kept in the records that Open has read, and
// forgets it.
func (n *Node) Submissions() [][]byte {
	all := n.disks.submissions
	n.disks.submissions = nil
	return all
}

// Damage is what kept things from being listed, nil when that is nothing.
func (n *Node) Damage() error { return n.damage }

// now is the time of something that is made, as exact as records keep it.
func (n *Node) now() time.Time { return n.opts.Clock().UTC().Truncate(time.Microsecond) }

// takes says whether images may come in the format.
func (n *Node) takes(f convert.Format) bool { return slices.Contains(n.opts.Formats, f) }
