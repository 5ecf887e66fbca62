package operation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// work is one worker.
func (e *Engine) work() {
	for {
		j, ctx, cancel := e.next()
		if j == nil {
			return
		}
		e.carryOut(ctx, j)
		cancel(nil)
		e.mu.Lock()
		e.queue.release(j)
		e.mu.Unlock()
		e.opts.Metrics.active(j.kind, -1)
	}
}

// next waits for a job and gives it with the context of its handler; nil when the
// engine closes.
func (e *Engine) next() (*job, context.Context, context.CancelCauseFunc) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for !e.closing && e.queue.length == 0 {
		e.wake.Wait()
	}
	if e.closing {
		return nil, nil, nil
	}
	j := e.queue.pop()
	ctx, cancel := context.WithCancelCause(e.base)
	j.stage, j.cancel = Active, cancel
	e.opts.Metrics.queued(j.kind, -1)
	e.opts.Metrics.active(j.kind, 1)
	e.opts.Metrics.waited(j.kind, time.Since(j.created))
	return j, ctx, cancel
}

// carryOut runs the handler of a job to its end, or until the engine drains.
func (e *Engine) carryOut(ctx context.Context, j *job) {
	began := time.Now()
	r, err := e.running(j)
	if err == nil {
		err = e.attempt(j)
	}
	var response proto.Message
	if err == nil {
		response, err = e.call(ctx, r)
	} else if !e.left(j) {
		abandon(ctx, e.handlers[j.kind], r)
	}
	e.opts.Metrics.ran(j.kind, time.Since(began))
	if err != nil && e.left(j) {
		e.pause(j)
		return
	}
	e.finish(j, response, err)
}

// left says whether a job whose handler ended with an error is left to the next
// start: the engine stopped it, and nobody cancelled it.
func (e *Engine) left(j *job) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.closing && !j.cancelled
}

// call runs the handler. A panic is the operation's error: what it held may be
// lost to the process, but the others go on.
func (e *Engine) call(ctx context.Context, r *Running) (response proto.Message, err error) {
	defer func() {
		if p := recover(); p != nil {
			r.Logger().Error("a handler panicked", "panic", p, "stack", string(debug.Stack()))
			response, err = nil, fmt.Errorf("internal error in operation %s", r.job.id)
			abandon(context.WithoutCancel(ctx), e.handlers[r.job.kind], r)
		}
	}()
	response, err = e.handlers[r.job.kind].Run(ctx, r)
	if err != nil && ctx.Err() == nil && !errors.Is(err, ErrQueue) {
		// The caller may be told less, and nothing of what is the node's own fault.
		level := slog.LevelWarn
		if e.opts.Status(err).GetCode() == int32(codes.Internal) {
			level = slog.LevelError
		}
		r.Logger().Log(ctx, level, "an operation failed", "reason", err)
	}
	return response, err
}

// attempt counts how often a job was begun; ErrAttempts when that is too often.
func (e *Engine) attempt(j *job) error {
	count, err := e.read(attemptKey, j.id)
	if err != nil {
		return err
	}
	n := 0
	if len(count) == 1 {
		n = int(count[0])
	}
	if n >= e.opts.Attempts {
		return fmt.Errorf("%w: %d times", ErrAttempts, n)
	}
	return e.write(change{key(attemptKey, j.id): {byte(min(n+1, 255))}})
}

// pause leaves a job for the next start: its stopping was orderly.
func (e *Engine) pause(j *job) {
	if err := e.write(change{key(attemptKey, j.id): nil}); err != nil {
		e.opts.Logger.Warn("an operation's stop is not noted", "operation", j.id, "reason", err)
	}
}

// finish ends a job, durably, and tells those who wait.
func (e *Engine) finish(j *job, response proto.Message, err error) {
	op, c := e.outcome(j, response, err)
	if err := e.write(c); err != nil {
		// It stays in memory; after a restart it is run again.
		e.opts.Logger.Error("an operation's end is not in the history", "operation", j.id, "reason", err)
		e.conclude(j, op, op)
		return
	}
	e.dropKey(j)
	e.conclude(j, op, nil)
}

// dropKey makes what a job has sealed unreadable, if anything.
func (e *Engine) dropKey(j *job) {
	if !j.sealed {
		return
	}
	if err := e.secrets.remove(j.id); err != nil {
		e.opts.Logger.Error("the key of an operation that has ended stays until the next start", "operation", j.id, "reason", err)
	}
}

// finishInline is finish without waiting for the write, which may come with others.
func (e *Engine) finishInline(j *job, response proto.Message, err error) *opb.Operation {
	op, c := e.outcome(j, response, err)
	e.conclude(j, op, op)
	e.writeSoon(c, func(err error) {
		if err != nil {
			e.opts.Logger.Error("an operation's end is not in the history", "operation", j.id, "reason", err)
			return
		}
		e.mu.Lock()
		j.op = nil
		e.mu.Unlock()
	})
	return op
}

// outcome makes the final message of a job and the change that keeps it.
func (e *Engine) outcome(j *job, response proto.Message, err error) (*opb.Operation, change) {
	e.mu.Lock()
	op := proto.CloneOf(j.op)
	cancelled := j.cancelled
	e.mu.Unlock()
	op.Done = true
	op.ModifiedAt = timestamppb.Now()
	if err == nil && response == nil {
		err = fmt.Errorf("operation %s has no response", j.id)
	}
	if err == nil {
		var packed *anypb.Any
		if packed, err = anypb.New(response); err == nil {
			op.Result = &opb.Operation_Response{Response: packed}
		}
	}
	if err != nil {
		op.Result = &opb.Operation_Error{Error: e.statusOf(err, cancelled)}
	}
	c := make(change)
	c.forget(j.id)
	record, err := j.encode(op)
	if err != nil {
		panic(fmt.Sprintf("operation: encode %s: %v", j.id, err)) // its parts were marshalled before
	}
	c.set(recordKey, j.id, record)
	return op, c
}

// statusOf maps an error. Whatever a handler makes of its cancelled context, the
// operation was cancelled.
func (e *Engine) statusOf(err error, cancelled bool) *status.Status {
	if cancelled {
		return &status.Status{Code: int32(codes.Canceled), Message: ErrCancelled.Error()}
	}
	return e.opts.Status(err)
}

// conclude makes a job's end known; kept is what stays in memory of it.
func (e *Engine) conclude(j *job, op, kept *opb.Operation) {
	e.mu.Lock()
	j.stage, j.cancel, j.op = Done, nil, kept
	j.ended = op.ModifiedAt.AsTime()
	e.history.push(j)
	j.changeLocked()
	info := j.infoLocked()
	over := e.history.overfull(e.opts.HistoryCount)
	e.mu.Unlock()
	e.opts.Metrics.ended(j.kind, op)
	if e.opts.Ended != nil {
		e.opts.Ended(info, op)
	}
	if over {
		e.prune(time.Now())
	}
}
