package cas

import "context"

// turns bound how many workers compute at a time. Nil does not.
//
// Threads that give way are owed what they gave way for: where more of them can run
// than there are processors, the kernel lets one after another go before a thread
// that wakes to answer somebody, each for a tick of its clock.
type turns chan struct{}

// newTurns makes n turns, or none that bound anything.
func newTurns(n int) turns {
	if n <= 0 {
		return nil
	}
	return make(turns, n)
}

type turnKey struct{}

// do waits for a turn and calls fn with it. What fn calls with its context pauses
// before it waits for other workers or for the volume.
func (t turns) do(ctx context.Context, fn func(ctx context.Context) error) error {
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

// pause gives back the turn that the context comes with, if any. Resume waits for
// another, whatever becomes of the context: those who have turns compute, and soon
// have done.
func pause(ctx context.Context) (resume func()) {
	t, ok := ctx.Value(turnKey{}).(turns)
	if !ok {
		return func() {}
	}
	<-t
	return func() { t <- struct{}{} }
}
