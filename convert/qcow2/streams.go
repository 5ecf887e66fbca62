package qcow2

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

// stream is a compressed cluster's data, up to the end of its last sector.
type stream struct{ start, length int64 }

const (
	// maxStreams bounds the list of streams of a pass, 16 MiB.
	maxStreams = 1 << 20
	// minStream is less than any stream that fills a cluster takes.
	minStream = 4
)

// free is where the next stream may begin. A stream's length is known in
// sectors only, and the next may begin in its last one.
func (s stream) free() int64 {
	lastSector := (s.start+s.length-1)&^(sectorSize-1) + 1
	return max(lastSector, s.start+minStream)
}

// addStream claims the host clusters of a stream, which may hold other
// streams too but nothing else.
func (c *claims) addStream(s stream, clusterBits uint) (taken claimed, ok bool) {
	first, last := s.start>>clusterBits, (s.start+s.length-1)>>clusterBits
	listed := false
	for at := max(first, c.lo); at <= last && at < c.hi; at++ {
		p := c.page(at)
		if p == nil {
			break
		}
		i := at % pageClusters
		if use := p.use(i); use == claimedMeta || use == claimedData {
			return use, false
		}
		p.streams[i/64] |= 1 << (i % 64)
		listed = true
	}
	if listed {
		c.list = append(c.list, s)
	}
	return claimedNone, true
}

// trimStreams makes room in the list when it is full, with mu held.
func (c *checker) trimStreams() error {
	if len(c.claims.list) < maxStreams {
		return nil
	}
	if err := c.sortStreams(); err != nil {
		return err
	}
	list := c.claims.list
	if len(list) < maxStreams/2 {
		return nil
	}
	// A cluster has fewer streams than the half, so hi stays above lo.
	c.claims.hi = min(c.claims.hi, max(list[len(list)/2].start>>c.im.geo.clusterBits, c.claims.lo+1))
	c.claims.last = nil
	c.claims.list = slices.DeleteFunc(list, func(s stream) bool { return s.start>>c.im.geo.clusterBits >= c.claims.hi })
	return nil
}

// checkStreams refuses streams that overlap.
func (c *checker) checkStreams(context.Context) error { return c.sortStreams() }

// sortStreams sorts the list, and takes out those that begin inside another.
func (c *checker) sortStreams() error {
	list := c.claims.list
	slices.SortFunc(list, func(a, b stream) int { return cmp.Compare(a.start, b.start) })
	kept, free := list[:0], int64(0)
	for _, s := range list {
		if s.start < free {
			c.shared++
			if c.im.opts.MaxAmplification <= 1 {
				return corrupt("compressed cluster", s.start, "its data", fmt.Sprintf("none before %d, where that of another ends", free))
			}
		} else {
			kept = append(kept, s)
		}
		free = max(free, s.free())
	}
	c.claims.list = kept
	return nil
}
