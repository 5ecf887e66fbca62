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

// SettingsError says which settings are to blame. It matches ErrSettings.
type SettingsError struct {
	settings Settings
	names    []string
	want     string
}

func (e *SettingsError) Error() string {
	return fmt.Sprintf("min %d, max %d, capacity %d: want %s: %v", e.settings.Min, e.settings.Max, e.settings.Capacity, e.want, ErrSettings)
}

// Fields are the names of the settings that are to blame.
func (e *SettingsError) Fields() []string { return e.names }

// Is makes every SettingsError match ErrSettings.
func (e *SettingsError) Is(target error) bool { return target == ErrSettings }

// Validate says whether the settings are in their bounds and fit one another.
func (s Settings) Validate() error {
	var names []string
	for _, v := range []struct {
		name         string
		value, least int
	}{{"min", s.Min, 0}, {"max", s.Max, -1}, {"capacity", s.Capacity, 0}} {
		if v.value < v.least || v.value > MaxCapacity {
			names = append(names, v.name)
		}
	}
	switch {
	case len(names) > 0:
		return &SettingsError{s, names, fmt.Sprintf("0 to %d, or max -1", MaxCapacity)}
	case s.Max == -1 && s.Min > 0, s.Max > 0 && s.Min > s.Max:
		return &SettingsError{s, []string{"min", "max"}, "min no more than max"}
	case s.Max == -1 && s.Capacity > 0, s.Max > 0 && s.Capacity > s.Max:
		return &SettingsError{s, []string{"max", "capacity"}, "capacity no more than max"}
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
