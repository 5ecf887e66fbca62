package operation

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
)

// Engine is the queue of operations, its workers and its history.
type Engine struct {
	// Immutable after Start.
	opts     Options
	handlers map[string]Handler
	secrets  keys

	base    context.Context // of all handlers
	stop    context.CancelCauseFunc
	workers sync.WaitGroup // and the pruner
	calls   sync.WaitGroup // Submit and Cancel

	storage sync.RWMutex // held to read while the database is in use
	db      *database    // nil once closed; guarded by storage

	mu        sync.Mutex
	wake      sync.Cond // something waits, or the engine closes
	jobs      map[string]*job
	folders   index
	resources index
	keys      map[keyScope]*job
	claims    map[keyScope]chan struct{} // keys that Submit is deciding on
	queue     queue
	history   history
	seq       uint64
	closing   bool

	pruning sync.Mutex // held by who prunes; taken before mu and storage
	pruned  time.Time  // of what was submitted until then some may be forgotten; guarded by pruning
}

// Open opens the engine and finds what was submitted before. Nothing is at work
// until Start.
func Open(_ context.Context, opts Options) (*Engine, error) {
	opts = opts.withDefaults()
	db, err := openDatabase(opts.Dir, opts.Logger)
	if err != nil {
		return nil, err
	}
	secrets, err := openKeys(opts.Dir)
	if err != nil {
		return nil, errors.Join(err, db.close())
	}
	e := &Engine{
		opts: opts, db: db, secrets: secrets, handlers: make(map[string]Handler), jobs: make(map[string]*job),
		folders: make(index), resources: make(index),
		keys: make(map[keyScope]*job), claims: make(map[keyScope]chan struct{}),
	}
	e.wake.L = &e.mu
	e.base, e.stop = context.WithCancelCause(context.Background())
	if err := e.load(); err != nil {
		e.stop(ErrClosed)
		return nil, errors.Join(err, db.close())
	}
	return e, nil
}

// Register names the handler of a kind of operation, before Start.
func (e *Engine) Register(kind string, h Handler) {
	if e.handlers[kind] != nil {
		panic("operation: two handlers of " + kind)
	}
	e.handlers[kind] = h
}

// Start takes up what waits from before, and begins to work.
func (e *Engine) Start(ctx context.Context) error {
	if err := e.restoreAll(ctx); err != nil {
		return err
	}
	for range e.opts.Workers {
		e.workers.Go(e.work)
	}
	e.workers.Go(e.pruneAlways)
	return nil
}

// Close stops the handlers and waits for them, but not longer than the context
// allows; what was at work goes on at the next Start.
func (e *Engine) Close(ctx context.Context) error {
	e.mu.Lock()
	if e.closing {
		e.mu.Unlock()
		return ErrClosed
	}
	e.closing = true
	e.wake.Broadcast()
	e.mu.Unlock()
	e.stop(ErrDraining)

	err := e.drained(ctx)
	e.storage.Lock()
	defer e.storage.Unlock()
	db := e.db
	e.db = nil
	if closeErr := db.close(); err == nil {
		err = closeErr
	}
	return err
}

// drained waits for everything that is under way.
func (e *Engine) drained(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		e.workers.Wait()
		e.calls.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("drain operations: %w", ctx.Err())
	}
}

// enter counts a call that must end before the database closes.
func (e *Engine) enter() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closing {
		return ErrClosed
	}
	e.calls.Add(1)
	return nil
}

// Get gives an operation; ErrNotFound. The message is shared: it must not be
// changed.
func (e *Engine) Get(id string) (*opb.Operation, error) {
	e.mu.Lock()
	j := e.jobs[id]
	e.mu.Unlock()
	if j == nil {
		return nil, fmt.Errorf("operation %q: %w", id, ErrNotFound)
	}
	return e.operation(j)
}

// operation gives a job's message, from memory or the database.
func (e *Engine) operation(j *job) (*opb.Operation, error) {
	e.mu.Lock()
	op := j.op
	e.mu.Unlock()
	if op != nil {
		return op, nil
	}
	p, err := e.read(recordKey, j.id)
	if err != nil {
		return nil, fmt.Errorf("read operation %s: %w", j.id, err)
	}
	if p == nil {
		return nil, fmt.Errorf("operation %q: %w", j.id, ErrNotFound)
	}
	_, op, err = decode(j.id, p)
	return op, err
}

// Info says what an operation is about; ErrNotFound.
func (e *Engine) Info(id string) (Info, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	j := e.jobs[id]
	if j == nil {
		return Info{}, fmt.Errorf("operation %q: %w", id, ErrNotFound)
	}
	return j.infoLocked(), nil
}

// Load is how many operations wait and are at work.
func (e *Engine) Load() (waiting, active int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, l := range e.queue.folders {
		active += l.active
	}
	return e.queue.length, active
}

func (e *Engine) write(c change) error {
	e.storage.RLock()
	defer e.storage.RUnlock()
	if e.db == nil {
		return ErrClosed
	}
	return e.db.write(c)
}

// writeLater is write for callers that go on; done is always called, perhaps
// before it returns.
func (e *Engine) writeLater(c change, done func(error)) {
	e.storage.RLock()
	defer e.storage.RUnlock()
	if e.db == nil {
		done(ErrClosed)
		return
	}
	e.db.writeLater(c, done)
}

// writeSoon is writeLater for changes that may wait for others.
func (e *Engine) writeSoon(c change, done func(error)) {
	e.storage.RLock()
	defer e.storage.RUnlock()
	if e.db == nil {
		done(ErrClosed)
		return
	}
	e.db.writeSoon(c, done)
}

func (e *Engine) read(kind byte, id string) ([]byte, error) {
	e.storage.RLock()
	defer e.storage.RUnlock()
	if e.db == nil {
		return nil, ErrClosed
	}
	return e.db.read(kind, id)
}
