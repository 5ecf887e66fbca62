package stripe

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"
)

// wrongUnit is a unit that is not as it was written.
type wrongUnit struct {
	row int64
	err error
}

// check reads each shard of an object from its beginning to its end, all at
// once, and checks every unit. It gives what is wrong, by shard.
func (m *objectRepair) check(ctx context.Context, o *Object) ([][]wrongUnit, error) {
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

// checkRun is how many bytes of a shard are read at once, in whole units.
const checkRun = 2 << 20

func (m *objectRepair) checkShard(ctx context.Context, o *Object, i int) (wrong []wrongUnit, read int64, err error) {
	if o.lay.rows() == 0 {
		return nil, 0, nil
	}
	run := max(1, min(checkRun/o.lay.unit, int(o.lay.rows())))
	buf, err := m.volume.arena.Get(ctx, run*o.lay.unit)
	if err != nil {
		return nil, 0, err
	}
	defer buf.Release()
	for row := int64(0); row < o.lay.rows(); row += int64(run) {
		end := min(row+int64(run), o.lay.rows())
		n := int(end-row-1)*o.lay.unit + o.lay.unitOf(end-1)
		if err := m.limit.Wait(ctx, n); err != nil {
			return wrong, read, err
		}
		wrong = append(wrong, o.checkRows(i, row, end, buf.Bytes()[:n])...)
		read += int64(n)
		m.volume.stats.scrubbed.Add(int64(n))
	}
	return wrong, read, nil
}

// checkRows reads and checks some rows of a shard; when they cannot be read
// together, each for itself.
func (o *Object) checkRows(i int, row, end int64, p []byte) (wrong []wrongUnit) {
	together := o.readUnit(i, row, 0, p) == nil
	for ; row < end; row++ {
		unit := p[:o.lay.unitOf(row)]
		p = p[len(unit):]
		var err error
		if together {
			err = o.checkUnit(i, row, unit)
		} else {
			err = o.readChecksummed(i, row, unit)
		}
		if err != nil {
			wrong = append(wrong, wrongUnit{row, err})
		}
	}
	return wrong
}

// weigh reports the bytes that are lost: data units that are wrong in rows with
// fewer than k good units.
func (m *objectRepair) weigh(o *Object, useless memberSet, wrong [][]wrongUnit) {
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
func (m *objectRepair) lose(o *Object, row int64, which func(shard int) bool) {
	for i := range o.lay.k {
		if n := o.lay.dataIn(row, i); n > 0 && which(i) {
			m.lost = append(m.lost, Range{Object: o.name, Offset: o.lay.objectOffset(row, i), Length: int64(n)})
		}
	}
}

// errRemoved says that an object was removed while its shards were rebuilt.
var errRemoved = errors.New("the object was removed meanwhile")
