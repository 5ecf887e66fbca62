package operation_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"pgregory.net/rapid"

	"github.com/blockmill/blockmill/api/operation"
)

const modelWorkers = 2

// gates is a handler whose operations end when the test lets them.
type gates struct {
	mu   sync.Mutex
	open map[string]chan error // by request; of those that are at work
}

func (g *gates) Run(ctx context.Context, op *operation.Running) (proto.Message, error) {
	gate := make(chan error)
	g.mu.Lock()
	g.open[requestOf(op)] = gate
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		delete(g.open, requestOf(op))
		g.mu.Unlock()
	}()
	select {
	case err := <-gate:
		return wrapperspb.String(requestOf(op)), err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (g *gates) atWork() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []string
	for text := range g.open {
		all = append(all, text)
	}
	slices.Sort(all)
	return all
}

// modelOp is what an operation must be.
type modelOp struct {
	id, text, key string
	done          bool
	code          codes.Code
}

// machine holds an engine against a list.
type machine struct {
	dir    string
	engine *operation.Engine
	gates  *gates
	ops    []*modelOp
	keys   map[string]*modelOp
}

func (m *machine) start(t *rapid.T) {
	m.gates = &gates{open: make(map[string]chan error)}
	e, err := operation.Open(context.Background(), operation.Options{Dir: m.dir, Workers: modelWorkers})
	if err != nil {
		t.Fatal(err)
	}
	e.Register("gate", m.gates)
	if err := e.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	m.engine = e
	synctest.Wait()
}

func (m *machine) restart(t *rapid.T) {
	if err := m.engine.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	m.start(t)
}

func (m *machine) submit(t *rapid.T) {
	op := &modelOp{text: fmt.Sprint("op", len(m.ops)), key: rapid.SampledFrom([]string{"", "", "k1", "k2", "k3"}).Draw(t, "key")}
	spec := operation.Spec{
		Kind: "gate", Folder: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "folder"), IdempotencyKey: op.key,
	}
	earlier := m.keys[op.key]
	if earlier != nil && rapid.Bool().Draw(t, "the same") {
		spec.Request = wrapperspb.String(earlier.text)
		if got, err := m.engine.Submit(context.Background(), spec); err != nil || got.Id != earlier.id {
			t.Fatalf("again: %v, %v", got, err)
		}
		return
	}
	spec.Request = wrapperspb.String(op.text)
	got, err := m.engine.Submit(context.Background(), spec)
	if earlier != nil {
		if !errors.Is(err, operation.ErrKeyReused) {
			t.Fatalf("another request with key %s: %v", op.key, err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	op.id = got.Id
	m.ops = append(m.ops, op)
	if op.key != "" {
		m.keys[op.key] = op
	}
}

// finish ends an operation that is at work.
func (m *machine) finish(t *rapid.T) {
	text := rapid.SampledFrom(m.gates.atWork()).Draw(t, "operation")
	op := m.ops[slices.IndexFunc(m.ops, func(o *modelOp) bool { return o.text == text })]
	var end error
	op.done = true
	if rapid.Bool().Draw(t, "fails") {
		end, op.code = errors.New("it broke"), codes.Internal
	}
	m.gates.mu.Lock()
	gate := m.gates.open[text]
	m.gates.mu.Unlock()
	gate <- end
}

func (m *machine) cancel(t *rapid.T) {
	op := rapid.SampledFrom(m.ops).Draw(t, "operation")
	if _, err := m.engine.Cancel(context.Background(), op.id); err != nil {
		t.Fatal(err)
	}
	if !op.done {
		op.done, op.code = true, codes.Canceled
	}
}

func (m *machine) check(t *rapid.T) {
	synctest.Wait()
	pending := 0
	for _, want := range m.ops {
		got, err := m.engine.Get(want.id)
		if err != nil {
			t.Fatal(err)
		}
		if got.Done != want.done || codes.Code(got.GetError().GetCode()) != want.code {
			t.Fatalf("%s: done is %v, want %v; %v, want %v", want.text, got.Done, want.done, got.GetError(), want.code)
		}
		if !want.done {
			pending++
		}
	}
	working := min(pending, modelWorkers)
	if waiting, active := m.engine.Load(); waiting != pending-working || active != working {
		t.Fatalf("%d wait and %d are at work, of %d", waiting, active, pending)
	}
	if n := len(m.gates.atWork()); n != working {
		t.Fatalf("%d handlers run, want %d", n, working)
	}
}

// TestModel does anything in any order, restarts included.
func TestModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// A bubble has a clock of its own, and no deadline to ask for.
		rapid.Check(struct{ testing.TB }{t}, func(t *rapid.T) {
			dir, err := os.MkdirTemp("", "operations")
			if err != nil {
				t.Fatal(err)
			}
			defer os.RemoveAll(dir)
			m := &machine{dir: dir, keys: make(map[string]*modelOp)}
			m.start(t)
			defer func() {
				if err := m.engine.Close(context.Background()); err != nil {
					t.Fatal(err)
				}
			}()
			for range rapid.IntRange(1, 25).Draw(t, "steps") {
				steps := []string{"submit", "submit", "restart"}
				if len(m.gates.atWork()) > 0 {
					steps = append(steps, "finish", "finish")
				}
				if len(m.ops) > 0 {
					steps = append(steps, "cancel")
				}
				switch rapid.SampledFrom(steps).Draw(t, "step") {
				case "submit":
					m.submit(t)
				case "finish":
					m.finish(t)
				case "cancel":
					m.cancel(t)
				case "restart":
					m.restart(t)
				}
				m.check(t)
			}
		})
	})
}
