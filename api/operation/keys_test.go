package operation_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/blockmill/blockmill/api/operation"
)

const (
	requestSecret = "wxyz-secret-of-the-request"
	privateSecret = "wxyz-secret-in-private"
)

// confidant is a handler that ends as its request says, and holds its secrets
// against what was submitted.
type confidant struct {
	t       *testing.T
	begun   chan string // ids
	release chan struct{}
}

func (c *confidant) Run(ctx context.Context, op *operation.Running) (proto.Message, error) {
	verb, secret, _ := strings.Cut(requestOf(op), " ")
	if secret != requestSecret || string(op.Private()) != privateSecret {
		c.t.Errorf("operation %s has %q and %q", op.ID(), secret, op.Private())
	}
	c.begun <- op.ID()
	switch verb {
	case "fail":
		return nil, errors.New("it broke")
	case "panic":
		panic("at the disco")
	case "wait":
		select {
		case <-c.release:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return wrapperspb.String("did"), nil
}

func secretSpec(verb string) operation.Spec {
	return operation.Spec{
		Kind: "confidant", Folder: "f", CreatedBy: "me", Secret: true,
		Request: wrapperspb.String(verb + " " + requestSecret), Private: []byte(privateSecret),
	}
}

// confide opens an engine with the handler.
func confide(t *testing.T, dir string) (*operation.Engine, *confidant) {
	t.Helper()
	e, err := operation.Open(t.Context(), operation.Options{Dir: dir, Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	c := &confidant{t: t, begun: make(chan string, 100), release: make(chan struct{})}
	e.Register("confidant", c)
	return e, c
}

// told are the files below a directory that have a secret.
func told(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		p, err := os.ReadFile(path)
		if bytes.Contains(p, []byte(requestSecret)) || bytes.Contains(p, []byte(privateSecret)) {
			names = append(names, filepath.Base(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// keysIn are the operations that have keys.
func keysIn(t *testing.T, dir string) (ids []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if info, err := entry.Info(); err != nil || info.Mode() != 0o600 {
			t.Errorf("key %s: %v, %v", entry.Name(), info, err)
		}
		ids = append(ids, entry.Name())
	}
	return ids
}

// TestSecretsAreNotFoundAfterTheEnd ends operations in every way, over a restart,
// and looks for their secrets in every file.
func TestSecretsAreNotFoundAfterTheEnd(t *testing.T) {
	dir := t.TempDir()
	e, c := confide(t, dir)
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	running := submit(t, e, secretSpec("wait"))
	if id := <-c.begun; id != running.Id {
		t.Fatalf("%s was begun", id)
	}
	queued := submit(t, e, secretSpec("wait"))
	for _, verb := range []string{"do", "fail", "panic"} {
		submit(t, e, secretSpec(verb))
	}
	if keys := keysIn(t, dir); len(keys) != 5 {
		t.Errorf("the keys of 5 operations are %v", keys)
	}
	closeEngine(t, e)
	if names := told(t, dir); names != nil {
		t.Errorf("while the operations wait, %v have a secret", names)
	}

	e, c = confide(t, dir)
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if id := <-c.begun; id != running.Id { // with its secrets, as it says
		t.Fatalf("%s was begun", id)
	}
	if _, err := e.Cancel(t.Context(), queued.Id); err != nil {
		t.Fatal(err)
	}
	close(c.release)
	page, _, err := e.List(operation.Query{Folder: "f"})
	if err != nil || len(page) != 5 {
		t.Fatalf("%v, %v", page, err)
	}
	for _, op := range page {
		if wait(t, e, op.Id); len(keysIn(t, dir)) > 4 {
			t.Errorf("operation %s is done, and all keys are there", op.Id)
		}
	}
	for _, state := range []string{"open", "closed"} {
		if state == "closed" {
			closeEngine(t, e)
		}
		if keys := keysIn(t, dir); keys != nil {
			t.Errorf("%s: the keys of %v are there after the end", state, keys)
		}
		if names := told(t, dir); names != nil {
			t.Errorf("%s: %v have a secret after the end", state, names)
		}
	}
}

// TestWhatIsNoSecret proves that told would find one.
func TestWhatIsNoSecret(t *testing.T) {
	dir := t.TempDir()
	e, _ := confide(t, dir)
	s := secretSpec("wait")
	s.Secret = false
	submit(t, e, s)
	closeEngine(t, e)
	if told(t, dir) == nil {
		t.Error("a request is nowhere")
	}
	if keys := keysIn(t, dir); keys != nil {
		t.Errorf("what has no secrets has the keys %v", keys)
	}
}

// TestKeysOfCrashes has the keys that crashes leave: of operations that never were,
// and of those that have ended.
func TestKeysOfCrashes(t *testing.T) {
	dir := t.TempDir()
	e, c := confide(t, dir)
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	operation.SealOnly(e, "neverwas", []byte(requestSecret))
	op := submit(t, e, secretSpec("wait"))
	<-c.begun
	path := filepath.Join(dir, "keys", op.Id)
	key, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	close(c.release)
	wait(t, e, op.Id)
	c.release = make(chan struct{})
	pending := submit(t, e, secretSpec("wait"))
	<-c.begun
	closeEngine(t, e)
	if err := os.WriteFile(path, key, 0o600); err != nil {
		t.Fatal(err)
	}
	e, _ = confide(t, dir)
	defer closeEngine(t, e)
	if keys := keysIn(t, dir); len(keys) != 1 || keys[0] != pending.Id {
		t.Errorf("there are the keys of %v, want that of %s", keys, pending.Id)
	}
}

// TestARefusedSubmissionLeavesNoKey submits where no record can be written.
func TestARefusedSubmissionLeavesNoKey(t *testing.T) {
	dir := t.TempDir()
	e, _ := confide(t, dir)
	defer closeEngine(t, e)
	giveBack := operation.WithoutDatabase(e)
	_, err := e.Submit(t.Context(), secretSpec("do"))
	giveBack()
	if err == nil || keysIn(t, dir) != nil {
		t.Errorf("%v leaves the keys %v", err, keysIn(t, dir))
	}
}

// TestALostKey loses the key of one operation of two, and damages a third one's.
func TestALostKey(t *testing.T) {
	dir := t.TempDir()
	e, _ := confide(t, dir)
	lost, damaged, other := submit(t, e, secretSpec("do")), submit(t, e, secretSpec("do")), submit(t, e, secretSpec("do"))
	closeEngine(t, e)
	err := errors.Join(
		os.Remove(filepath.Join(dir, "keys", lost.Id)),
		os.WriteFile(filepath.Join(dir, "keys", damaged.Id), bytes.Repeat([]byte{1}, 32), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	e, _ = confide(t, dir)
	defer closeEngine(t, e)
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{lost.Id, damaged.Id} {
		if got := answer(t, wait(t, e, id)); !strings.Contains(got, operation.ErrKeyLost.Error()) {
			t.Errorf("without its key: %s", got)
		}
	}
	if got := answer(t, wait(t, e, other.Id)); got != "did" {
		t.Errorf("beside one without a key: %s", got)
	}
	if keys := keysIn(t, dir); keys != nil {
		t.Errorf("the keys of %v are left", keys)
	}
}

// TestSecretsInMemory needs no keys.
func TestSecretsInMemory(t *testing.T) {
	e, _ := confide(t, "")
	defer closeEngine(t, e)
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := answer(t, wait(t, e, submit(t, e, secretSpec("do")).Id)); got != "did" {
		t.Error(got)
	}
}
