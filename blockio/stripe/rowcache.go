package stripe

import (
	"sync"

	"github.com/blockmill/blockmill/blockio"
)

// rowCache keeps a few rows of objects that lack data shards. To rebuild a part of
// a unit takes the same part of k others, most of which are wanted next: whoever
// reads on from unit to unit would read each several times.
//
// Its memory is taken from the arena when it is first needed and kept until the
// volume is closed. Nobody waits for it: while the arena has nothing to spare, or
// all rows are in use, reads go without.
type rowCache struct {
	// Immutable.
	arena *blockio.Arena
	most  int
	size  int // of a row's data units

	mu   sync.Mutex
	rows []*cachedRow // guarded by mu; the least recently used first
}

// cachedRow is the data units of a row, one after the other.
type cachedRow struct {
	// Guarded by the cache's mu.
	id    rowID
	users int
	ready chan struct{} // closed when the row is loaded, or cannot be
	// Immutable once ready is closed.
	err error
	buf *blockio.Buffer
}

// rowID names a row of one write of an object.
type rowID struct {
	name string
	key  key
	row  int64
}

// cachedRows is how many rows are kept at most: readers that are windows apart
// come back to each a few times, and with half as many are too late. They take
// no more than a third of the arena.
const cachedRows = 10

func newRowCache(arena *blockio.Arena, g geometry) *rowCache {
	c := &rowCache{arena: arena, size: int(g.rowSize())}
	if g.m > 0 {
		c.most = int(min(cachedRows, arena.Limit()/3/g.rowSize()))
	}
	return c
}

// get gives a row that is there, or being loaded; with load it makes one. It is
// nil when there is none. The caller puts it back.
func (c *rowCache) get(id rowID, load func(units []byte) error) *cachedRow {
	c.mu.Lock()
	r := c.find(id)
	fresh := r == nil && load != nil
	if fresh {
		if r = c.free(); r != nil {
			r.id, r.err, r.ready = id, nil, make(chan struct{})
		}
	}
	if r == nil {
		c.mu.Unlock()
		return nil
	}
	r.users++
	ready := r.ready
	c.mu.Unlock()
	if fresh {
		r.err = load(r.buf.Bytes()[:c.size])
		close(ready)
	} else {
		<-ready
	}
	if r.err != nil {
		c.put(r)
		return nil
	}
	return r
}

// find looks for a row, and makes it the last one to go. The caller holds mu.
func (c *rowCache) find(id rowID) *cachedRow {
	for i, r := range c.rows {
		if r.id == id {
			c.rows = append(append(c.rows[:i:i], c.rows[i+1:]...), r)
			return r
		}
	}
	return nil
}

// free gives a row that nobody uses, as the last one to go; nil without one. The
// caller holds mu.
func (c *rowCache) free() *cachedRow {
	if len(c.rows) < c.most {
		if buf := c.arena.TryGet(c.size); buf != nil {
			c.rows = append(c.rows, &cachedRow{buf: buf})
			return c.rows[len(c.rows)-1]
		}
	}
	for i, r := range c.rows {
		if r.users == 0 {
			c.rows = append(append(c.rows[:i:i], c.rows[i+1:]...), r)
			return r
		}
	}
	return nil
}

// put gives a row back. One that could not be loaded is no row any more.
func (c *rowCache) put(r *cachedRow) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r.users--
	if r.err != nil {
		r.id = rowID{}
	}
}

// close gives back the memory. Nobody uses a row any more.
func (c *rowCache) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.rows {
		r.buf.Release()
	}
	c.rows, c.most = nil, 0
}

// readPart fills pieces of one row of an object, from the cache when it lacks
// data shards. Small reads make no row: they come from anywhere.
func (o *Object) readPart(pieces []piece) error {
	row, n := pieces[0].row, 0
	for _, pc := range pieces {
		n += len(pc.dst)
	}
	unit := o.lay.unitOf(row)
	if n == unit*o.lay.k || !o.lacksData() {
		return o.readRow(pieces)
	}
	var load func([]byte) error
	if n >= unit/8 {
		load = func(units []byte) error { return o.readRow(o.lay.dataUnits(row, units)) }
	}
	r := o.volume.rows.get(rowID{o.name, o.key, row}, load)
	if r == nil {
		return o.readRow(pieces)
	}
	defer o.volume.rows.put(r)
	for _, pc := range pieces {
		copy(pc.dst, r.buf.Bytes()[pc.shard*unit+pc.at:])
	}
	return nil
}

// dataUnits is the pieces that are the whole data units of a row.
func (l layout) dataUnits(row int64, units []byte) []piece {
	unit := l.unitOf(row)
	all := make([]piece, l.k)
	for i := range all {
		all[i] = piece{row: row, shard: i, dst: units[i*unit : (i+1)*unit : (i+1)*unit]}
	}
	return all
}

// lacksData says whether a data shard of the object is known to be of no use.
func (o *Object) lacksData() bool {
	if o.lay.m == 0 {
		return false
	}
	o.mu.RLock()
	defer o.mu.RUnlock()
	for i := range o.lay.k {
		if o.shards[i].err != nil {
			return true
		}
	}
	return false
}
