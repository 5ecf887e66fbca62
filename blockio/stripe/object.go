package stripe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/blockmill/blockmill/blockio"
)

// Object is an object of a stripe, open for reading.
type Object struct {
	// Immutable.
	volume *Volume
	name   string
	key    key
	lay    layout

	mu     sync.RWMutex
	shards []found // neither open nor an error: not looked at yet; guarded by mu
}

var (
	_ blockio.Object        = (*Object)(nil)
	_ blockio.Reconstructor = (*Object)(nil)
)

// readParallel bounds the reads of one call that are under way.
const readParallel = 16

func (v *Volume) newObject(name string, k key) *Object {
	return &Object{volume: v, name: name, key: k, lay: v.geo.layout(k.size), shards: make([]found, len(v.members))}
}

// Open implements blockio.Volume. While all is well it looks at the data shards
// only.
func (v *Volume) Open(ctx context.Context, name string) (blockio.Object, error) {
	o, err := v.open(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	return o, nil
}

func (v *Volume) open(ctx context.Context, name string) (*Object, error) {
	if _, err := blockio.CheckName(name); err != nil {
		return nil, err
	}
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case v.closed.Load():
		return nil, ErrClosed
	case reserved(name):
		return nil, blockio.ErrNotFound
	}
	if o := v.openData(ctx, name); o != nil {
		return o, nil
	}
	s := v.survey(ctx, name)
	if s.err != nil {
		return nil, errors.Join(s.err, s.close(nil))
	}
	return v.objectOf(s)
}

// openData opens an object whose data shards are all there and alike, else it
// returns nil.
func (v *Volume) openData(ctx context.Context, name string) *Object {
	data := v.members[:v.geo.k]
	shards := make([]found, len(v.members))
	if v.geo.k == 1 {
		shards[0] = v.look(ctx, data[0], name)
	} else {
		for _, m := range data {
			if !m.present() {
				return nil
			}
		}
		each(data, nil, func(m *member) { shards[m.index] = v.look(ctx, m, name) })
	}
	inSync := v.membership.snapshot()
	good, synced := 0, false
	for i := range data {
		// The first decides what the others must be.
		if shards[0].err == nil && shards[i].err == nil && shards[i].key() == shards[0].key() {
			good++
			synced = synced || inSync.has(i)
		}
	}
	if good == v.geo.k && synced {
		o := v.newObject(name, shards[0].key())
		o.shards = shards
		return o
	}
	for i := range shards {
		// Opened for reading, looked at, of no use.
		_ = shards[i].close()
	}
	return nil
}

// Size implements blockio.Object.
func (o *Object) Size() int64 { return o.lay.size }

// Close implements blockio.Object.
func (o *Object) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	var errs []error
	for i := range o.shards {
		errs = append(errs, o.shards[i].close())
		o.shards[i].err = ErrClosed
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close %s: %w", o.name, err)
	}
	return nil
}

// ReadAt implements blockio.Object. It trusts what shards deliver: see
// ReconstructAt.
func (o *Object) ReadAt(p []byte, off int64) (int, error) {
	return o.readAt(p, off, o.read)
}

// ReconstructAt implements blockio.Reconstructor: every unit that it uses is
// read whole and checked.
func (o *Object) ReconstructAt(p []byte, off int64) (int, error) {
	return o.readAt(p, off, o.readChecked)
}

var errNegative = errors.New("negative offset")

// readAt has read fill the part of p that lies inside the object.
func (o *Object) readAt(p []byte, off int64, read func(p []byte, off int64) error) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read %s at %d: %w", o.name, off, errNegative)
	}
	n := int(max(0, min(int64(len(p)), o.lay.size-off)))
	if n > 0 {
		if err := read(p[:n], off); err != nil {
			return 0, fmt.Errorf("read %s at %d: %w", o.name, off, err)
		}
		o.volume.stats.bytesRead.Add(int64(n))
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// read fills p from the shards that have it; what they cannot deliver it
// rebuilds.
func (o *Object) read(p []byte, off int64) error {
	first := o.lay.next(p, off)
	if len(first.dst) == len(p) {
		if !o.lacksData() && o.readUnit(first.shard, first.row, first.at, first.dst) == nil {
			return nil
		}
		return o.readPart([]piece{first})
	}
	if o.lay.k == 1 && o.readShard(0, off, p) == nil {
		return nil // a single data shard has all rows in one piece
	}
	rows := o.rowsOf(p, off)
	if len(rows) == 1 {
		return o.readPart(rows[0])
	}
	var g errgroup.Group
	g.SetLimit(max(1, readParallel/o.lay.k))
	for _, pieces := range rows {
		g.Go(func() error { return o.readPart(pieces) })
	}
	return g.Wait()
}

// rowsOf cuts a range into the pieces of each row.
func (o *Object) rowsOf(p []byte, off int64) [][]piece {
	var rows [][]piece
	for len(p) > 0 {
		pc := o.lay.next(p, off)
		if n := len(rows); n > 0 && rows[n-1][0].row == pc.row {
			rows[n-1] = append(rows[n-1], pc)
		} else {
			rows = append(rows, []piece{pc})
		}
		p, off = p[len(pc.dst):], off+int64(len(pc.dst))
	}
	return rows
}

// readUnit reads from a unit of a shard.
func (o *Object) readUnit(shard int, row int64, at int, dst []byte) error {
	return o.readShard(shard, row*int64(o.lay.unit)+int64(at), dst)
}

// readShard reads from a shard, and queues the object when it cannot.
func (o *Object) readShard(i int, off int64, dst []byte) error {
	f := o.shard(i)
	if f.err != nil {
		return f.err
	}
	err := readFull(f.obj, dst, off)
	if err != nil {
		m := o.volume.members[i]
		err = m.note(err)
		o.volume.suspect(o.name, m, err)
	}
	return err
}

// absent says that a shard is certainly not there: nothing is lost by writing
// over it.
func (o *Object) absent(i int) bool {
	err := o.shard(i).err
	return errors.Is(err, blockio.ErrNotFound) || errors.Is(err, errStale)
}

// shard is what there is of a shard; it looks at the member when nobody did
// before.
func (o *Object) shard(i int) found {
	o.mu.RLock()
	f := o.shards[i]
	o.mu.RUnlock()
	if f.obj != nil || f.err != nil {
		return f
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if f = o.shards[i]; f.obj != nil || f.err != nil {
		return f
	}
	v, m := o.volume, o.volume.members[i]
	f = v.look(context.Background(), m, o.name)
	if f.err == nil && f.key() != o.key {
		err := m.wrap(fmt.Errorf("%w: generation %s, expected %s", errStale, f.trailer.gen, o.key.gen))
		f = found{err: errors.Join(err, f.close())}
	}
	if f.err != nil && m.present() {
		v.suspect(o.name, m, f.err)
	}
	o.shards[i] = f
	return f
}
