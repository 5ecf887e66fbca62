package storedir

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/stripe"
)

// ownShard is the shard of a store that names none.
const ownShard = "volume"

// Shape says which shards a new store has; the zero value is one in the store's
// own directory.
type Shape struct {
	Data, Parity int
	// Shards are Data+Parity directories.
	Shards []string
	// SharedDevices allows shards on one device.
	SharedDevices bool
}

func (s Shape) withDefaults(dir string) Shape {
	if s.Data == 0 {
		s.Data = 1
	}
	if len(s.Shards) == 0 && s.Data == 1 && s.Parity == 0 {
		s.Shards = []string{filepath.Join(dir, ownShard)}
	}
	return s
}

// Check checks the number of shards; ErrShards.
func (s Shape) Check() error {
	s = s.withDefaults("")
	if s.Data < 1 || s.Parity < 0 || len(s.Shards) != s.Data+s.Parity {
		return fmt.Errorf("%w: %d directories for %d data and %d parity", ErrShards, len(s.Shards), s.Data, s.Parity)
	}
	return nil
}

// maxRow bounds the bytes of a full row, and so the buffers of writers, for
// stripes of many shards.
const maxRow = 4 << 20

func unitFor(data int) int {
	unit := stripe.DefaultUnit
	for unit*data > maxRow && unit > 64<<10 {
		unit /= 2
	}
	return unit
}

// Init makes a store's directory, its description and its shards. One that was
// begun in the same shape and not finished is finished; ErrExists otherwise.
func Init(ctx context.Context, dir string, shape Shape) (err error) {
	if err := shape.Check(); err != nil {
		return err
	}
	shape = shape.withDefaults(dir)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	lock, err := blockio.LockDir(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	l, err := readLayout(dir)
	if errors.Is(err, ErrNoStore) {
		l, err = plan(dir, shape)
	} else if err == nil {
		err = sameShape(dir, l, shape)
	}
	if err != nil {
		return err
	}
	if err := initShards(ctx, dir, l); err != nil {
		return err
	}
	return errors.Join(blockio.SyncPath(dir), blockio.SyncPath(filepath.Dir(filepath.Clean(dir))))
}

// plan prepares the shards and writes the description.
func plan(dir string, shape Shape) (Layout, error) {
	l := Layout{Data: shape.Data, Parity: shape.Parity, Unit: unitFor(shape.Data), SharedDevices: shape.SharedDevices}
	for _, s := range shape.Shards {
		if err := prepare(s); err != nil {
			return l, err
		}
		kept, err := keep(dir, s)
		if err != nil {
			return l, err
		}
		if slices.Contains(l.Shards, kept) {
			return l, fmt.Errorf("%w: %s is named twice", ErrShards, s)
		}
		l.Shards = append(l.Shards, kept)
	}
	if !shape.SharedDevices {
		if err := separate(shape.Shards); err != nil {
			return l, err
		}
	}
	if _, err := rand.Read(l.Set[:]); err != nil {
		return l, err
	}
	return l, writeLayout(dir, l)
}

// sameShape refuses to begin another store where there is one.
func sameShape(dir string, l Layout, shape Shape) error {
	var kept []string
	for _, s := range shape.Shards {
		k, err := keep(dir, s)
		if err != nil {
			return err
		}
		kept = append(kept, k)
	}
	if l.Data != shape.Data || l.Parity != shape.Parity || !slices.Equal(kept, l.Shards) {
		return ErrExists
	}
	return nil
}

// initShards makes the stripe, unless some of its shards are made already:
// opening tells whether those are enough.
func initShards(ctx context.Context, dir string, l Layout) (err error) {
	shards := make([]Shard, len(l.Shards))
	volumes := make([]blockio.Volume, len(l.Shards))
	opts := stripe.Options{K: l.Data, M: l.Parity, Unit: l.Unit, SetID: l.Set}
	defer func() {
		for i := range shards {
			err = errors.Join(err, shards[i].close())
		}
	}()
	for i := range shards {
		s := &shards[i]
		s.Path = locate(dir, l.Shards[i])
		if err := s.open(i, Options{Fill: true}); err != nil {
			return err
		}
		if s.Err != nil {
			return s.Err
		}
		if _, err := stripe.Identify(ctx, s.volume); err == nil {
			return nil
		} else if !errors.Is(err, stripe.ErrNoStripe) {
			return fmt.Errorf("shard %s: %w", s.Path, err)
		}
		volumes[i] = s.volume
		opts.Labels = append(opts.Labels, s.Path)
	}
	return stripe.Init(ctx, volumes, opts)
}
