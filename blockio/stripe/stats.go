package stripe

import "sync/atomic"

// Stats are counts since Open.
type Stats struct {
	// BytesWritten and BytesRead are bytes of objects.
	BytesWritten, BytesRead int64
	// DegradedWrites are commits that not all shards took.
	DegradedWrites int64
	// RebuiltReads are units, or parts of units, that a read had to rebuild.
	RebuiltReads int64
	// ChecksumErrors are units whose bytes were not what was written.
	ChecksumErrors int64
	// Healed are shard objects that were written anew, Removed those that
	// were removed as leftovers.
	Healed, Removed int64
	// ScrubbedBytes are bytes of shards that Scrub checked.
	ScrubbedBytes int64
	// Queued are objects that wait for Heal.
	Queued int64
	// ShardFailures are failed calls to each shard, by position.
	ShardFailures []int64
}

type counters struct {
	bytesWritten, bytesRead, degradedWrites, rebuiltReads, checksumErrors, healed, removed, scrubbed atomic.Int64
}

// Stats are the counts up to now.
func (v *Volume) Stats() Stats {
	s := Stats{
		BytesWritten:   v.stats.bytesWritten.Load(),
		BytesRead:      v.stats.bytesRead.Load(),
		DegradedWrites: v.stats.degradedWrites.Load(),
		RebuiltReads:   v.stats.rebuiltReads.Load(),
		ChecksumErrors: v.stats.checksumErrors.Load(),
		Healed:         v.stats.healed.Load(),
		Removed:        v.stats.removed.Load(),
		ScrubbedBytes:  v.stats.scrubbed.Load(),
		Queued:         int64(v.queue.len()),
		ShardFailures:  make([]int64, len(v.members)),
	}
	for i, m := range v.members {
		s.ShardFailures[i], _ = m.lastFailure()
	}
	return s
}
