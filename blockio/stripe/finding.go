package stripe

import (
	"errors"

	"github.com/blockmill/blockmill/blockio"
)

// Damage is a kind of damage.
type Damage uint8

const (
	// DamageMissing is a shard's object that is not there.
	DamageMissing Damage = iota
	// DamageStale is a shard's object of another write of the name.
	DamageStale
	// DamageTrailer is a shard's object that does not say what it is.
	DamageTrailer
	// DamageUnit is a unit with other bytes than were written.
	DamageUnit
	// DamageUnreadable is what the shard's volume gives an error for.
	DamageUnreadable
	// DamageLeftover is a shard of no object: of a write that was cut short,
	// or of an object that was removed.
	DamageLeftover
)

var damageNames = [...]string{"missing", "stale", "trailer", "unit", "unreadable", "leftover"}

func (d Damage) String() string { return damageNames[d] }

// Finding is one thing that is wrong.
type Finding struct {
	Object string
	Shard  int
	// Row is -1 for the shard's whole object.
	Row    int64
	Damage Damage
	// Err says it in detail.
	Err error
	// Repaired says that it is right now.
	Repaired bool
}

// Range is a run of bytes of an object. A Length of -1 is the whole object, of
// which not even the size is known.
type Range struct {
	Object         string
	Offset, Length int64
}

// damageOf classifies why a member's object is of no use.
func damageOf(err error) Damage {
	switch {
	case errors.Is(err, blockio.ErrNotFound):
		return DamageMissing
	case errors.Is(err, errStale):
		return DamageStale
	case errors.Is(err, errUnitSum):
		return DamageUnit
	case errors.Is(err, ErrCorrupt):
		return DamageTrailer
	}
	return DamageUnreadable
}
