package stripe

import (
	"context"
	"errors"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sync/errgroup"
)

// wrongUnit is a unit that is not as it was written.
type wrongUnit struct {
	row int64
	err error
}

// check reads each shard of an object from its beginning to its end, all at
// once, and checks every unit. It gives what is wrong, by shard.
func (m *mending) check(ctx context.Context, o *Object) ([][]wrongUnit, error) {
	wrong := make([][]wrongUnit, o.lay.shards())
	read := make([]int64, o.lay.shards())
	g, ctx := errgroup.WithContext(ctx)
	for i := range wrong {
		if o.shard(i).err != nil {
			continue
		}
		g.Go(func() (err error) {
			wrong[i], read[i], err = m.checkShard(ctx, o, i)
			return err
		})
	}
	err := g.Wait()
	for i := range wrong {
		m.bytes += read[i]
		for _, w := range wrong[i] {
			m.find(i, w.row, w.err)
		}
	}
	return wrong, err
}

func (m *mending) checkShard(ctx context.Context, o *Object, i int) (wrong []wrongUnit, read int64, err error) {
	if o.lay.rows() == 0 {
		return nil, 0, nil
	}
	buf, err := m.volume.arena.Get(ctx, o.lay.unitOf(0))
	if err != nil {
		return nil, 0, err
	}
	defer buf.Release()
	for row := range o.lay.rows() {
		p := buf.Bytes()[:o.lay.unitOf(row)]
		if err := m.limit.wait(ctx, len(p)); err != nil {
			return wrong, read, err
		}
		if err := o.readChecksummed(i, row, p); err != nil {
			wrong = append(wrong, wrongUnit{row, err})
		}
		read += int64(len(p))
		m.volume.stats.scrubbed.Add(int64(len(p)))
	}
	return wrong, read, nil
}

// weigh reports the bytes that are lost: data units that are wrong in rows with
// fewer than k good units.
func (m *mending) weigh(o *Object, useless memberSet, wrong [][]wrongUnit) {
	bad := map[int64]memberSet{}
	for i := range wrong {
		for _, w := range wrong[i] {
			set := bad[w.row]
			set.add(i)
			bad[w.row] = set
		}
	}
	for row := range o.lay.rows() {
		set, ok := bad[row]
		if !ok {
			continue // the object would not be visible
		}
		for i := range o.lay.shards() {
			if useless.has(i) {
				set.add(i)
			}
		}
		if o.lay.shards()-set.count() < o.lay.k {
			m.lose(o, row, set.has)
		}
	}
}

// lose reports the data of some shards in a row.
func (m *mending) lose(o *Object, row int64, which func(shard int) bool) {
	for i := range o.lay.k {
		if n := o.lay.dataIn(row, i); n > 0 && which(i) {
			m.lost = append(m.lost, Range{Object: o.name, Offset: o.lay.objectOffset(row, i), Length: int64(n)})
		}
	}
}

// errRemoved says that an object was removed while its shards were rebuilt.
var errRemoved = errors.New("the object was removed meanwhile")

// poison is a checksum that the bytes do not have.
func poison(p []byte) uint64 { return ^xxhash.Sum64(p) }
