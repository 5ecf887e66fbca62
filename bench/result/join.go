package result

import (
	"errors"
	"slices"
)

// ErrOtherMachine says that two runs were made on different machines.
var ErrOtherMachine = errors.New("made on another machine")

// Join returns a run with the cases of both; of a case in both it is b's. Only
// runs of one machine can be joined. A nil run has no cases.
func Join(a, b *Run) (*Run, error) {
	if a == nil {
		return b, nil
	}
	if a.Machine != b.Machine {
		return nil, ErrOtherMachine
	}
	out := *a
	if b.Started.Before(out.Started) {
		out.Started = b.Started
	}
	if b.Finished.After(out.Finished) {
		out.Finished = b.Finished
	}
	out.Rounds = max(a.Rounds, b.Rounds)
	out.Cases = slices.Clone(a.Cases)
	for _, c := range b.Cases {
		if i := slices.IndexFunc(out.Cases, func(old Case) bool { return old.Name == c.Name }); i >= 0 {
			out.Cases[i] = c
		} else {
			out.Cases = append(out.Cases, c)
		}
	}
	out.Programs = slices.Clone(a.Programs)
	for _, p := range b.Programs {
		if !slices.ContainsFunc(out.Programs, func(old Program) bool { return old == p }) {
			out.Programs = append(out.Programs, p)
		}
	}
	return &out, nil
}
