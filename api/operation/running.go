package operation

import (
	"fmt"
	"log/slog"
	"sync"

	"google.golang.org/protobuf/proto"
)

// Running is an operation in its handler's hands.
type Running struct {
	engine           *Engine
	job              *job
	request, private []byte
	submission       []byte // nil: the database has it

	mu       sync.Mutex
	advanced bool // guarded by mu
}

// ID is the operation's id.
func (r *Running) ID() string { return r.job.id }

// ResourceID is what the operation is about.
func (r *Running) ResourceID() string { return r.job.resource }

// IdempotencyKey is the key that it was submitted with, empty without one.
func (r *Running) IdempotencyKey() string { return r.job.scope.key }

// Ticket is what Spec.Reserve was given.
func (r *Running) Ticket() Ticket { return r.job.ticket() }

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

// Advanced notes that the next start has less to do than this one, by what the
// handler keeps elsewhere: the operation is not one that never comes to an end. It
// costs a write the first time only.
func (r *Running) Advanced() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.advanced {
		return
	}
	if err := r.engine.write(change{key(attemptKey, r.job.id): nil}); err != nil {
		r.Logger().Warn("an operation's advance is not noted", "reason", err)
		return
	}
	r.advanced = true
}
