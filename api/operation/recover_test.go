package operation_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/blockmill/blockmill/api/operation"
)

// keeper is a script that keeps the submissions of what it did.
type keeper struct {
	*script
	kept [][]byte
}

func (k *keeper) Run(ctx context.Context, op *operation.Running) (proto.Message, error) {
	response, err := k.script.Run(ctx, op)
	if s := op.Submission(); s != nil && err == nil {
		k.kept = append(k.kept, s)
	}
	return response, err
}

func openKeeper(t *testing.T, opts operation.Options, k *keeper, recovered ...[]byte) *operation.Engine {
	t.Helper()
	e, err := operation.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	e.Register("script", k)
	if err := e.Recover(recovered); err != nil {
		t.Fatal(err)
	}
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return e
}

func keptSpec(text, key string) operation.Spec {
	s := spec(text)
	s.Inline, s.Kept, s.IdempotencyKey, s.Private = true, true, key, []byte("secret")
	return s
}

// A crash takes what was not written yet from the database: here all of it.
func TestRecover(t *testing.T) {
	k := &keeper{script: newScript()}
	e := openKeeper(t, operation.Options{Dir: t.TempDir()}, k)
	before := submit(t, e, keptSpec("a", "key"))
	closeEngine(t, e)

	e = openKeeper(t, operation.Options{Dir: t.TempDir()}, k, append(slices.Clone(k.kept), []byte("no submission"))...)
	defer closeEngine(t, e)
	after, err := e.Get(before.Id)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(before, after, protocmp.Transform(), protocmp.IgnoreFields(after, "modified_at")); d != "" {
		t.Error(d)
	}
	if runs := k.seen(); !slices.Equal(runs, []string{"a", "a"}) || !slices.Equal(k.restored, []string{"a"}) {
		t.Errorf("ran %q, restored %q", runs, k.restored)
	}
	if again := submit(t, e, keptSpec("a", "key")); again.Id != before.Id {
		t.Errorf("the key gives operation %s, want %s", again.Id, before.Id)
	}
}

// What the database has is not run again.
func TestRecoverKnown(t *testing.T) {
	opts := operation.Options{Dir: t.TempDir()}
	k := &keeper{script: newScript()}
	e := openKeeper(t, opts, k)
	op := submit(t, e, keptSpec("a", ""))
	closeEngine(t, e)
	e = openKeeper(t, opts, k, k.kept...)
	defer closeEngine(t, e)
	if got, err := e.Get(op.Id); err != nil || !got.Done || len(k.seen()) != 1 {
		t.Errorf("%v, %v; ran %q", got, err, k.seen())
	}
}

// What the history has forgotten does not come back.
func TestRecoverForgotten(t *testing.T) {
	opts := operation.Options{Dir: t.TempDir(), HistoryCount: 1}
	k := &keeper{script: newScript()}
	e := openKeeper(t, opts, k)
	op := submit(t, e, keptSpec("a", ""))
	submit(t, e, keptSpec("b", "")) // and now it is one too many
	closeEngine(t, e)
	e = openKeeper(t, opts, k, k.kept...)
	defer closeEngine(t, e)
	if got, err := e.Get(op.Id); !errors.Is(err, operation.ErrNotFound) || len(k.seen()) != 2 {
		t.Errorf("%v, %v; ran %q", got, err, k.seen())
	}
}

// What made nothing that could keep it is in the database when it is answered.
func TestKeptThatFails(t *testing.T) {
	dir := t.TempDir()
	k := &keeper{script: newScript()}
	e := openKeeper(t, operation.Options{Dir: dir}, k)
	defer closeEngine(t, e)
	op := submit(t, e, keptSpec("fail", ""))
	if got := answer(t, op); got != "Internal: it broke" {
		t.Error(got)
	}
	if !operation.Has(e, op.Id) {
		t.Error("it is not in the database")
	}
	if op := submit(t, e, keptSpec("b", "")); operation.Has(e, op.Id) {
		t.Error("what was kept was written twice")
	}
}
