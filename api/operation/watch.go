package operation

import (
	"context"
	"fmt"
	"iter"
	"time"

	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
)

// Progress is how far an operation is.
type Progress struct {
	Stage Stage
	// Done and Total are bytes; a Total of 0 is unknown.
	Done, Total int64
	// Operation is set when Stage is Done.
	Operation *opb.Operation
}

// Watch yields an operation's progress now, and then as it changes, until it is
// done or the context ends. Changes that come faster than the caller takes them
// are joined. ErrNotFound.
func (e *Engine) Watch(ctx context.Context, id string) iter.Seq2[Progress, error] {
	return func(yield func(Progress, error) bool) {
		e.mu.Lock()
		j := e.jobs[id]
		if j == nil {
			e.mu.Unlock()
			yield(Progress{}, fmt.Errorf("operation %q: %w", id, ErrNotFound))
			return
		}
		j.watchers++
		e.mu.Unlock()
		defer func() {
			e.mu.Lock()
			j.watchers--
			e.mu.Unlock()
		}()
		e.watch(ctx, j, yield)
	}
}

func (e *Engine) watch(ctx context.Context, j *job, yield func(Progress, error) bool) {
	for {
		p, changed, err := e.progress(j)
		if !yield(p, err) || err != nil || p.Stage == Done {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			yield(Progress{}, context.Cause(ctx))
			return
		case <-e.base.Done():
			yield(Progress{}, ErrClosed)
			return
		}
		e.pace(ctx, j)
	}
}

// pace waits until a watcher may look at a job again: for a while, but not beyond
// the job's end.
func (e *Engine) pace(ctx context.Context, j *job) {
	timer := time.NewTimer(e.opts.WatchInterval)
	defer timer.Stop()
	for {
		e.mu.Lock()
		stage, changed := j.stage, j.changedLocked()
		e.mu.Unlock()
		if stage == Done {
			return
		}
		select {
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

// progressed tells a job's watchers of progress.
func (e *Engine) progressed(j *job) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if j.watchers > 0 {
		j.changeLocked()
	}
}

// changeLocked tells watchers of a change. The caller holds mu.
func (j *job) changeLocked() {
	if j.changed != nil {
		close(j.changed)
		j.changed = nil
	}
}

// changedLocked is closed at the next change. The caller holds mu.
func (j *job) changedLocked() chan struct{} {
	if j.changed == nil {
		j.changed = make(chan struct{})
	}
	return j.changed
}

// progress looks at a job; changed is closed when there is more to see.
func (e *Engine) progress(j *job) (p Progress, changed chan struct{}, err error) {
	e.mu.Lock()
	p = Progress{Stage: j.stage, Done: j.done.Load(), Total: j.total.Load()}
	changed = j.changedLocked()
	e.mu.Unlock()
	if p.Stage == Done {
		p.Operation, err = e.operation(j)
	}
	return p, changed, err
}

// Wait waits for an operation's end; ErrNotFound.
func (e *Engine) Wait(ctx context.Context, id string) (*opb.Operation, error) {
	for p, err := range e.Watch(ctx, id) {
		if err != nil {
			return nil, err
		}
		if p.Stage == Done {
			return p.Operation, nil
		}
	}
	return nil, fmt.Errorf("operation %q: %w", id, ErrNotFound)
}
