package operation

import (
	"context"
	"errors"

	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
)

// runInline carries an operation out in its submitter. The record of its
// beginning becomes durable beside the work, or in what the handler makes, that
// of its end soon after: a crash in between runs the handler again, which
// recognises what it made.
func (e *Engine) runInline(ctx context.Context, r *Running, c change) (*opb.Operation, error) {
	j := r.job
	runCtx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	defer context.AfterFunc(e.base, func() { cancel(ErrDraining) })()
	e.mu.Lock()
	j.stage, j.cancel = Active, cancel
	e.list(j)
	e.mu.Unlock()
	e.opts.Metrics.submitted(j.kind)

	written := make(chan error, 1)
	if r.submission == nil {
		e.writeLater(c, func(err error) { written <- err })
	}
	response, err := e.call(runCtx, r)
	switch {
	case r.submission == nil:
	case err == nil:
		written <- nil
	default: // nothing has kept it
		written <- e.write(c)
	}
	// The history may be lost, the work is not: a record that could not be
	// written is no reason to deny what was done.
	if lost := <-written; lost != nil {
		r.Logger().Warn("the operation is not in the history", "reason", lost)
	}
	if err != nil && e.left(j) {
		return e.operation(j)
	}
	if errors.Is(err, ErrQueue) {
		if op := e.requeue(j); op != nil {
			return op, nil
		}
		abandon(runCtx, e.handlers[j.kind], r)
	}
	return e.finishInline(j, response, err), nil
}

// requeue queues an inline operation that takes longer after all, unless somebody
// has cancelled it.
func (e *Engine) requeue(j *job) *opb.Operation {
	e.mu.Lock()
	defer e.mu.Unlock()
	if j.cancelled {
		return nil
	}
	j.stage, j.cancel = Queued, nil
	e.queue.push(j)
	e.wake.Signal()
	e.opts.Metrics.queued(j.kind, 1)
	return j.op
}
