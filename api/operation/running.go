package operation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
)

// errTooLong says that a request or checkpoint is beyond what is kept.
var errTooLong = errors.New("longer than is kept")

// Running is an operation in its handler's hands.
type Running struct {
	engine           *Engine
	job              *job
	request, private []byte
	submission       []byte // nil: the database has it

	mu    sync.Mutex
	state []byte // guarded by mu
}

// ID is the operation's id.
func (r *Running) ID() string { return r.job.id }

// Folder is the operation's folder.
func (r *Running) Folder() string { return r.job.folder }

// ResourceID is what the operation is about.
func (r *Running) ResourceID() string { return r.job.resource }

// IdempotencyKey is the key that it was submitted with, empty without one.
func (r *Running) IdempotencyKey() string { return r.job.scope.key }

// CreatedBy is who submitted it.
func (r *Running) CreatedBy() string { return r.job.scope.caller }

// CreatedAt is when it was submitted.
func (r *Running) CreatedAt() time.Time { return r.job.created }

// Restored says that the operation was submitted before the last restart: what
// it was to make may be there already.
func (r *Running) Restored() bool { return r.job.restored }

// Request reads the request.
func (r *Running) Request(into proto.Message) error {
	if err := proto.Unmarshal(r.request, into); err != nil {
		return fmt.Errorf("read request of operation %s: %w", r.job.id, err)
	}
	return nil
}

// Private is the private data that the operation was submitted with.
func (r *Running) Private() []byte { return r.private }

// Logger names the operation in every line.
func (r *Running) Logger() *slog.Logger {
	return r.engine.opts.Logger.With("operation", r.job.id, "kind", r.job.kind)
}

// Progress says how many bytes of how many are done; a total of 0 is unknown.
func (r *Running) Progress(done, total int64) {
	r.job.done.Store(done)
	r.job.total.Store(total)
	r.engine.progressed(r.job)
}

// State is the last checkpoint, nil without one.
func (r *Running) State() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state
}

// Checkpoint makes state durable, in the place of the last one.
func (r *Running) Checkpoint(_ context.Context, state []byte) error {
	if len(state) > maxValue {
		return fmt.Errorf("checkpoint operation %s: %d bytes: %w", r.job.id, len(state), errTooLong)
	}
	c := change{key(attemptKey, r.job.id): nil, key(stateKey, r.job.id): append([]byte{}, state...)}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.engine.write(c); err != nil {
		return fmt.Errorf("checkpoint operation %s: %w", r.job.id, err)
	}
	r.state = c[key(stateKey, r.job.id)]
	return nil
}
