package operation

import (
	"context"
	"fmt"

	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
)

// Cancel asks for an operation's end and returns it as it is then. One that waits
// is done at once; one at work as soon as its handler has cleaned up; one that is
// done stays as it is. ErrNotFound.
func (e *Engine) Cancel(ctx context.Context, id string) (*opb.Operation, error) {
	if err := e.enter(); err != nil {
		return nil, err
	}
	defer e.calls.Done()
	e.mu.Lock()
	j := e.jobs[id]
	if j == nil {
		e.mu.Unlock()
		return nil, fmt.Errorf("operation %q: %w", id, ErrNotFound)
	}
	first := j.stage != Done && !j.cancelled
	waited := first && j.place != nil
	if first {
		j.cancelled = true
	}
	if waited {
		e.queue.remove(j)
		j.stage = Active
	} else if first && j.cancel != nil {
		j.cancel(ErrCancelled)
	}
	e.mu.Unlock()
	switch {
	case waited:
		e.opts.Metrics.queued(j.kind, -1)
		e.abandonQueued(context.WithoutCancel(ctx), j)
	case first:
		e.noteCancel(j)
	}
	return e.operation(j)
}

// abandonQueued ends a job that was never run, or not since the restart.
func (e *Engine) abandonQueued(ctx context.Context, j *job) {
	r, err := e.running(j)
	if err != nil {
		e.opts.Logger.Warn("what a cancelled operation was is not known", "operation", j.id, "reason", err)
	}
	abandon(ctx, e.handlers[j.kind], r)
	e.finish(j, nil, ErrCancelled)
}

// noteCancel makes sure that a restart does not take the job up again. A note
// that loses the race against the job's end is removed at the next start.
func (e *Engine) noteCancel(j *job) {
	if err := e.write(change{key(cancelKey, j.id): {}}); err != nil {
		e.opts.Logger.Warn("a cancel would not survive a restart", "operation", j.id, "reason", err)
	}
}
