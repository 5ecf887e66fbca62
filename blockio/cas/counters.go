package cas

import (
	"sync/atomic"
	"time"
)

// Counts are what a store did since Open. All sizes are in bytes.
type Counts struct {
	// ImagesCommitted are images that became durable, PutBytes the guest bytes
	// of all windows that were put.
	ImagesCommitted, PutBytes int64
	// NewChunks were stored, KnownChunks were there already; NewBytes and
	// KnownBytes are what they hold, NewStoredBytes what the new ones take.
	NewChunks, KnownChunks, NewBytes, KnownBytes, NewStoredBytes int64
	// ReadChunks were read and checked; ReadBytes is what was wanted of them.
	ReadChunks, ReadBytes int64
	// GCRuns are collections that came to their end, GCFailures those that did
	// not. GC is what all of them did, LastGC when the last one came to its end.
	GCRuns, GCFailures int64
	GC                 GCStats
	LastGC             time.Time
	// Segments are those that the store has now, SegmentBytes what they take.
	// OpenSessions and OpenImages are as of now too.
	Segments, SegmentBytes, OpenSessions, OpenImages int64
}

type counters struct {
	images, put                                     atomic.Int64
	newChunks, knownChunks                          atomic.Int64
	newBytes, knownBytes, stored                    atomic.Int64
	readChunks, readBytes                           atomic.Int64
	gcRuns, gcFailures, lastGC                      atomic.Int64 // lastGC is a Unix time, 0 for none
	manifests, segments, moved, movedBytes, reclaim atomic.Int64
}

// known counts a chunk that the store had.
func (c *counters) known(n int) {
	c.knownChunks.Add(1)
	c.knownBytes.Add(int64(n))
}

// added counts a chunk of n bytes that takes stored.
func (c *counters) added(n, stored int) {
	c.newChunks.Add(1)
	c.newBytes.Add(int64(n))
	c.stored.Add(int64(stored))
}

// collected counts a garbage collection.
func (c *counters) collected(st GCStats, err error) {
	c.manifests.Add(st.Manifests)
	c.segments.Add(st.Segments)
	c.moved.Add(st.MovedChunks)
	c.movedBytes.Add(st.MovedBytes)
	c.reclaim.Add(st.ReclaimedBytes)
	if err != nil {
		c.gcFailures.Add(1)
		return
	}
	c.gcRuns.Add(1)
	c.lastGC.Store(time.Now().Unix())
}

// Counts says what the store did up to now.
func (s *Store) Counts() Counts {
	c := &s.counters
	n := Counts{
		ImagesCommitted: c.images.Load(), PutBytes: c.put.Load(),
		NewChunks: c.newChunks.Load(), KnownChunks: c.knownChunks.Load(),
		NewBytes: c.newBytes.Load(), KnownBytes: c.knownBytes.Load(), NewStoredBytes: c.stored.Load(),
		ReadChunks: c.readChunks.Load(), ReadBytes: c.readBytes.Load(),
		GCRuns: c.gcRuns.Load(), GCFailures: c.gcFailures.Load(),
		GC: GCStats{
			Manifests: c.manifests.Load(), Segments: c.segments.Load(),
			MovedChunks: c.moved.Load(), MovedBytes: c.movedBytes.Load(), ReclaimedBytes: c.reclaim.Load(),
		},
	}
	if at := c.lastGC.Load(); at != 0 {
		n.LastGC = time.Unix(at, 0)
	}
	for _, st := range s.segments.list() {
		n.Segments++
		n.SegmentBytes += st.size
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n.OpenSessions = int64(len(s.sessions))
	for _, open := range s.images {
		n.OpenImages += int64(open)
	}
	return n
}
