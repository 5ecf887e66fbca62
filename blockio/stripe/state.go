package stripe

import (
	"context"
	"fmt"
)

// ShardStatus says how a shard is.
type ShardStatus uint8

const (
	// ShardOK is a shard that is in sync and complete, as far as known.
	ShardOK ShardStatus = iota
	// ShardMissing is a shard without a volume.
	ShardMissing
	// ShardFailed is a shard whose last call failed.
	ShardFailed
	// ShardEmpty is an empty volume in the place of a lost shard.
	ShardEmpty
	// ShardLagging is a shard that missed removals; Heal takes it back.
	ShardLagging
	// ShardRebuilding is a shard that lacks objects; Heal fills it.
	ShardRebuilding
)

var statusNames = [...]string{"ok", "missing", "failed", "empty", "lagging", "rebuilding"}

func (s ShardStatus) String() string { return statusNames[s] }

// MarshalText writes the status as String does.
func (s ShardStatus) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// ShardState is the state of a shard.
type ShardState struct {
	Index  int
	Label  string
	Status ShardStatus
	// Failure is of the last call, nil when it went well; Failures counts
	// failed calls since Open.
	Failure  error
	Failures int64
}

// Risk counts the objects that would survive the loss of so many more shards,
// and no more. Bytes are of their data, as stored on the data shards.
type Risk struct {
	Objects, Bytes int64
}

// State is the state of a volume.
type State struct {
	Shards []ShardState
	// Risks are by the number of losses that would be survived, from 0 to m.
	Risks []Risk
	// Unreadable are names of which fewer than k shards are there: objects
	// that are lost while shards are missing, or leftovers.
	Unreadable Risk
	// Queued are objects that wait for Heal.
	Queued int
}

// Degraded says that Heal has something to do, or that a shard is missing.
func (s *State) Degraded() bool {
	for _, sh := range s.Shards {
		if sh.Status != ShardOK {
			return true
		}
	}
	for _, r := range s.Risks[:len(s.Risks)-1] {
		if r.Objects > 0 {
			return true
		}
	}
	return s.Queued > 0 || s.Unreadable.Objects > 0
}

// Shards is the state of the shards; it asks nobody.
func (v *Volume) Shards() []ShardState {
	v.membership.mu.Lock()
	defer v.membership.mu.Unlock()
	states := make([]ShardState, len(v.members))
	for i, m := range v.members {
		s := ShardState{Index: i, Label: m.label}
		s.Failures, s.Failure = m.lastFailure()
		switch {
		case s.Failure != nil:
			s.Status = ShardFailed
		case !m.present():
			s.Status = ShardMissing
		case m.adopt:
			s.Status = ShardEmpty
		case !v.membership.inSync.has(i):
			s.Status = ShardLagging
		case m.rebuilding:
			s.Status = ShardRebuilding
		}
		states[i] = s
	}
	return states
}

// State lists all objects by name and says how safe they are.
func (v *Volume) State(ctx context.Context) (State, error) {
	s := State{Shards: v.Shards(), Risks: make([]Risk, v.geo.m+1), Queued: v.queue.len()}
	kinds, err := v.kinds(ctx)
	if err != nil {
		return s, fmt.Errorf("stat stripe: %w", err)
	}
	for _, kind := range kinds {
		for h, err := range v.holdings(ctx, kind) {
			if err != nil {
				return s, fmt.Errorf("stat stripe: %w", err)
			}
			n := v.survivors(h)
			r := &s.Unreadable
			if n >= v.geo.k {
				r = &s.Risks[n-v.geo.k]
			}
			r.Objects++
			r.Bytes += h.bytes * int64(v.geo.k)
		}
	}
	return s, nil
}
