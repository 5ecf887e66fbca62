package ready

import (
	"errors"
	"fmt"
	"time"
)

// Settings bound the pool of one image. The zero value leaves all to the rule.
type Settings struct {
	// Min and Max bound the target; Max 0 is DefaultMax, -1 keeps none ready.
	Min int `json:"min,omitempty"`
	Max int `json:"max,omitempty"`
	// Capacity, when positive, is the target, whatever the demand.
	Capacity int `json:"capacity,omitempty"`
	// IdleLimit is how long after the last create the stock is given up but
	// for Min; 0 is the node's, negative never.
	IdleLimit time.Duration `json:"idle_limit,omitempty"`
}

const (
	// DefaultMin is the target of a pool before anything is known of its
	// demand.
	DefaultMin = 1
	// DefaultMax bounds the target of a pool that has no Max.
	DefaultMax = 64
	// MaxCapacity bounds what may be set.
	MaxCapacity = 10_000
)

// ErrSettings says that the settings of a pool do not fit one another.
var ErrSettings = errors.New("bad pool settings")

// Validate says whether the settings fit one another.
func (s Settings) Validate() error {
	switch {
	case s.Min < 0 || s.Max < -1 || s.Capacity < 0:
		return fmt.Errorf("min %d, max %d, capacity %d: below 0: %w", s.Min, s.Max, s.Capacity, ErrSettings)
	case s.Min > MaxCapacity || s.Max > MaxCapacity || s.Capacity > MaxCapacity:
		return fmt.Errorf("min %d, max %d, capacity %d: at most %d: %w", s.Min, s.Max, s.Capacity, MaxCapacity, ErrSettings)
	case s.Max == -1 && s.Min > 0, s.Max > 0 && s.Min > s.Max:
		return fmt.Errorf("min %d, max %d: %w", s.Min, s.Max, ErrSettings)
	case s.Max == -1 && s.Capacity > 0, s.Max > 0 && s.Capacity > s.Max:
		return fmt.Errorf("capacity %d, max %d: %w", s.Capacity, s.Max, ErrSettings)
	}
	return nil
}

// bound turns what the demand wants into a target.
func (s Settings) bound(want int) int {
	most := s.Max
	if most == 0 {
		most = max(DefaultMax, s.Min, s.Capacity)
	}
	if s.Capacity > 0 {
		want = s.Capacity
	}
	return max(min(max(want, s.Min), most), 0)
}
