package blockio

import "context"

// Turns bound how many goroutines compute at a time, of all that share them. Nil
// does not.
//
// Threads that give way are owed what they gave way for: where more of them can run
// than there are processors, the kernel lets one after another go before a thread
// that wakes to answer somebody, each for a tick of its clock.
type Turns chan struct{}

// NewTurns makes n turns.
func NewTurns(n int) Turns { return make(Turns, n) }

type turnKey struct{}

// Do waits for a turn and calls fn with it. A function that fn calls with its context
// gives the turn back by [Pause] before it waits for anything but a processor.
func (t Turns) Do(ctx context.Context, fn func(ctx context.Context) error) error {
	if t == nil {
		return fn(ctx)
	}
	select {
	case t <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-t }()
	return fn(context.WithValue(ctx, turnKey{}, t))
}

// Pause gives back the turn of [Turns.Do] if the context comes with one. Resume waits
// for another, however the context fares: those who have turns compute, and no more.
func Pause(ctx context.Context) (resume func()) {
	t, ok := ctx.Value(turnKey{}).(Turns)
	if !ok {
		return func() {}
	}
	<-t
	return func() { t <- struct{}{} }
}
