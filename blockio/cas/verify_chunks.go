package cas

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/blockmill/blockmill/blockio"
)

// VerifyOptions are options of VerifyChunks; the zero value works.
type VerifyOptions struct {
	// After is the Cursor of an earlier report: objects up to it are passed
	// over.
	After string
	// Again are objects up to After that are looked at nevertheless: the Left
	// of the earlier report.
	Again []string
	// Limit paces the reads; nil does not.
	Limit *blockio.Limiter
	// Parallel is how many objects are read at a time; zero is as many as
	// there are processors.
	Parallel int
	// Progress hears of each object that is done; nil is nobody. It is called
	// by one goroutine at a time.
	Progress func(VerifyProgress)
}

// VerifyProgress is how far a VerifyChunks is.
type VerifyProgress struct {
	// Bytes of objects are done, of Total with those that were passed over.
	Bytes, Total int64
	Cursor       string
	// Left are the first maxLeft objects up to Cursor in which something is
	// wrong.
	Left []string
}

// Damage is a part of an object that is not as it should be, and why.
type Damage struct {
	ObjectRange
	Err error
}

// VerifyReport is what VerifyChunks found.
type VerifyReport struct {
	// Objects were looked at and Chunks checked; Bytes is what those take.
	Objects, Chunks, Bytes int64
	// Damage is the first maxDamage places that are wrong; Found counts all.
	Damage []Damage
	Found  int64
	// Cursor is the last object up to which all are done, empty when all are.
	Cursor string
	// Left are the first maxLeft objects up to Cursor, or of all, in which
	// something is wrong.
	Left []string
}

const (
	maxDamage = 1 << 16
	maxLeft   = 1 << 12
	// verifyBatch is the bytes of chunks that are decoded at a time.
	verifyBatch = 2 << 20
)

// VerifyChunks reads every chunk that the store has, each once and in the order in
// which they lie in their segments, and checks its BLAKE3; and every part of every
// manifest. It may run beside everything else: what is removed meanwhile is passed
// over. Its error says that it could not go on, not that something is wrong. It
// waits for the arena: the caller must hold none of its buffers.
func (s *Store) VerifyChunks(ctx context.Context, opts VerifyOptions) (VerifyReport, error) {
	v := &chunkVerifier{store: s, opts: opts, report: VerifyReport{Cursor: opts.After}}
	if err := v.run(ctx); err != nil {
		return v.report, fmt.Errorf("verify chunks: %w", err)
	}
	return v.report, nil
}

type chunkVerifier struct {
	store *Store
	opts  VerifyOptions
	reads *readBuffers

	mu       sync.Mutex
	report   VerifyReport   // guarded by mu
	progress VerifyProgress // guarded by mu
	pending  []*verifying   // begun, in their order; guarded by mu
}

// verifying is an object that is due, or being looked at.
type verifying struct {
	name   string
	size   int64
	check  func(ctx context.Context, v *chunkVerifier, buf []byte) (verified, error)
	done   bool
	result verified
}

// verified is what came of one object.
type verified struct {
	chunks, bytes int64
	damage        []Damage
}

func (r *verified) add(object string, off, length int64, err error) {
	r.damage = append(r.damage, Damage{ObjectRange{object, off, length}, err})
}

func (v *chunkVerifier) run(ctx context.Context) (err error) {
	if v.reads, err = v.store.readable(ctx); err != nil {
		return err
	}
	objects, err := v.objects(ctx)
	if err != nil {
		return err
	}
	parallel := v.opts.Parallel
	if parallel <= 0 {
		parallel = blockio.Processors()
	}
	due := make(chan *verifying)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(due)
		for _, o := range objects {
			v.begin(o)
			select {
			case due <- o:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return nil
	})
	for range parallel {
		g.Go(func() error { return v.work(ctx, due) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	v.report.Cursor = ""
	return nil
}

// objects lists what is due, in the order of the names.
func (v *chunkVerifier) objects(ctx context.Context) ([]*verifying, error) {
	s := v.store
	var all []*verifying
	for e, err := range s.opts.Volume.List(ctx, manifestKind) {
		if err != nil {
			return nil, fmt.Errorf("list manifests: %w", err)
		}
		if id, err := parseObjectID(manifestKind, e.Name); err == nil {
			all = append(all, &verifying{name: e.Name, size: e.Size, check: manifestCheck(id)})
		}
	}
	for _, st := range s.segments.list() {
		all = append(all, &verifying{name: st.id.object(), size: st.size, check: segmentCheck(st.id)})
	}
	slices.SortFunc(all, func(a, b *verifying) int { return strings.Compare(a.name, b.name) })
	due := all[:0]
	for _, o := range all {
		v.progress.Total += o.size
		if o.name > v.opts.After || slices.Contains(v.opts.Again, o.name) {
			due = append(due, o)
		} else {
			v.progress.Bytes += o.size
		}
	}
	return due, nil
}

func (v *chunkVerifier) begin(o *verifying) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.pending = append(v.pending, o)
}

func (v *chunkVerifier) work(ctx context.Context, due <-chan *verifying) error {
	buf, err := v.store.opts.Arena.Get(ctx, verifyBatch)
	if err != nil {
		return err
	}
	defer buf.Release()
	for o := range due {
		result, err := o.check(ctx, v, buf.Bytes())
		if err != nil {
			return err
		}
		v.finish(o, result)
	}
	return nil
}

// finish counts an object, and those before it that waited for it.
func (v *chunkVerifier) finish(o *verifying, result verified) {
	v.mu.Lock()
	defer v.mu.Unlock()
	r, p := &v.report, &v.progress
	o.done, o.result = true, result
	for len(v.pending) > 0 && v.pending[0].done {
		first := v.pending[0]
		v.pending = v.pending[1:]
		r.Objects++
		r.Chunks += first.result.chunks
		r.Bytes += first.result.bytes
		r.Found += int64(len(first.result.damage))
		r.Damage = append(r.Damage, first.result.damage[:min(len(first.result.damage), maxDamage-len(r.Damage))]...)
		if len(first.result.damage) > 0 && len(r.Left) < maxLeft {
			r.Left = append(r.Left, first.name)
		}
		r.Cursor = max(r.Cursor, first.name)
		p.Bytes += first.size
	}
	if v.opts.Progress != nil {
		p.Cursor, p.Left = r.Cursor, slices.Clone(r.Left)
		v.opts.Progress(*p)
	}
}
