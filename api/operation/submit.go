package operation

import (
	"context"
	"errors"
	"fmt"
	"time"

	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// errTooLong says that a request is longer than is kept.
var errTooLong = errors.New("longer than is kept")

// Submit adds an operation and returns it as it is: durable, and waiting, or
// done when it is inline. ErrKeyReused, ErrFull, ErrClosed, or what Reserve said.
// Cancelling the context does not end what was submitted.
func (e *Engine) Submit(ctx context.Context, s Spec) (*opb.Operation, error) {
	if e.handlers[s.Kind] == nil {
		panic("operation: no handler of " + s.Kind)
	}
	if s.Secret && s.Inline {
		panic("operation: an inline operation has no secrets: " + s.Kind)
	}
	if err := e.enter(); err != nil {
		return nil, err
	}
	defer e.calls.Done()
	request, err := marshal(s.Request)
	if err != nil {
		return nil, fmt.Errorf("keep request: %w", err)
	}
	if len(request) > maxValue || len(s.Private) > maxValue {
		return nil, fmt.Errorf("keep request of %d bytes: %w", len(request)+len(s.Private), errTooLong)
	}
	digest := s.digest(request)
	if s.IdempotencyKey != "" {
		earlier, err := e.claim(ctx, s.scope(), digest)
		if err != nil {
			return nil, err
		}
		if earlier != nil {
			return e.operation(earlier)
		}
		defer e.unclaim(s.scope())
	}
	return e.enrol(ctx, s, request, digest)
}

// claim finds the job of a key, or makes the caller the one that decides on it
// until unclaim.
func (e *Engine) claim(ctx context.Context, scope keyScope, digest [32]byte) (*job, error) {
	for {
		e.mu.Lock()
		if j := e.keys[scope]; j != nil {
			e.mu.Unlock()
			if j.digest != digest {
				return nil, fmt.Errorf("%w: operation %s", ErrKeyReused, j.id)
			}
			return j, nil
		}
		decided := e.claims[scope]
		if decided == nil {
			e.claims[scope] = make(chan struct{})
			e.mu.Unlock()
			return nil, nil
		}
		e.mu.Unlock()
		select {
		case <-decided:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (e *Engine) unclaim(scope keyScope) {
	e.mu.Lock()
	defer e.mu.Unlock()
	close(e.claims[scope])
	delete(e.claims, scope)
}

// enrol reserves, makes durable and queues, or runs.
func (e *Engine) enrol(ctx context.Context, s Spec, request []byte, digest [32]byte) (*opb.Operation, error) {
	e.mu.Lock()
	if !s.Inline && e.queue.waiting(s.Folder) >= e.opts.Queue {
		e.mu.Unlock()
		return nil, fmt.Errorf("folder %q: %d: %w", s.Folder, e.opts.Queue, ErrFull)
	}
	e.seq++
	j := &job{
		id: newID(), seq: e.seq, kind: s.Kind, folder: s.Folder, scope: s.scope(), digest: digest,
		created: time.Now(),
	}
	e.mu.Unlock()

	got := Reservation{ResourceID: s.ResourceID, Metadata: s.Metadata}
	if s.Reserve != nil {
		var err error
		if got, err = s.Reserve(j.ticket()); err != nil {
			return nil, err
		}
	}
	op, err := e.accept(ctx, j, s, got, request)
	if err != nil && got.Release != nil {
		got.Release()
	}
	return op, err
}

// accept is the part of enrol after whose error the reservation is released.
func (e *Engine) accept(ctx context.Context, j *job, s Spec, got Reservation, request []byte) (*opb.Operation, error) {
	j.resource = got.ResourceID
	metadata, err := packed(got.Metadata)
	if err != nil {
		return nil, fmt.Errorf("describe operation: %w", err)
	}
	at := timestamppb.New(j.created)
	j.op = &opb.Operation{
		Id: j.id, Description: s.Description, CreatedBy: s.CreatedBy,
		CreatedAt: at, ModifiedAt: at, Metadata: metadata,
	}
	record, err := j.encode(j.op)
	if err != nil {
		return nil, fmt.Errorf("keep operation: %w", err)
	}
	c := make(change)
	c.set(recordKey, j.id, record)
	if s.Secret {
		sealed, err := e.secrets.seal(j.id, request, s.Private)
		if err != nil {
			return nil, fmt.Errorf("keep operation: %w", err)
		}
		j.sealed = true
		c.set(sealedKey, j.id, sealed)
	} else {
		c.set(requestKey, j.id, request)
		c.set(privateKey, j.id, s.Private)
	}
	op := j.op
	if s.Inline {
		r := &Running{engine: e, job: j, request: request, private: s.Private}
		if s.Kept {
			r.submission = encodeSubmission(j.id, record, request, s.Private)
		}
		return e.runInline(ctx, r, c)
	}
	if err := e.write(c); err != nil {
		e.dropKey(j)
		return nil, fmt.Errorf("keep operation: %w", err)
	}
	e.mu.Lock()
	e.list(j)
	e.queue.push(j)
	e.wake.Signal()
	e.mu.Unlock()
	e.opts.Metrics.submitted(j.kind)
	e.opts.Metrics.queued(j.kind, 1)
	return op, nil
}

func packed(m proto.Message) (*anypb.Any, error) {
	if m == nil {
		return nil, nil
	}
	return anypb.New(m)
}
