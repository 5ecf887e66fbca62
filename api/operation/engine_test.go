package operation_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/blockmill/blockmill/api/operation"
	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// script is a handler that does what its request says, and keeps count.
type script struct {
	mu        sync.Mutex
	runs      []string // requests, as they were begun
	restored  []string
	abandoned []string

	release chan struct{} // "wait" goes on when it is closed
	begun   chan string   // gets each request that was begun, if set
}

func newScript() *script {
	return &script{release: make(chan struct{}), begun: make(chan string, 1000)}
}

func (s *script) Run(ctx context.Context, op *operation.Running) (proto.Message, error) {
	text := requestOf(op)
	s.mu.Lock()
	s.runs = append(s.runs, text)
	s.mu.Unlock()
	s.begun <- text
	verb, _, _ := strings.Cut(text, " ")
	switch verb {
	case "wait":
		select {
		case <-s.release:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	case "fail":
		return nil, errors.New("it broke")
	case "panic":
		panic("at the disco")
	case "longer":
		if len(s.seen()) == 1 {
			return nil, operation.ErrQueue
		}
	case "stubborn": // ends well in spite of being cancelled
		<-ctx.Done()
	case "half":
		if !op.Restored() {
			<-ctx.Done()
			return nil, fmt.Errorf("half way: %w", context.Cause(ctx))
		}
	}
	return wrapperspb.String("did " + text), nil
}

func (s *script) Restore(_ context.Context, op *operation.Running) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.restored = append(s.restored, requestOf(op))
	return nil
}

func (s *script) Abandon(_ context.Context, op *operation.Running) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.abandoned = append(s.abandoned, requestOf(op))
}

func (s *script) seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.runs...)
}

func requestOf(op *operation.Running) string {
	var v wrapperspb.StringValue
	if err := op.Request(&v); err != nil {
		panic(err)
	}
	return v.Value
}

func open(t *testing.T, opts operation.Options, s *script) *operation.Engine {
	t.Helper()
	e, err := operation.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	e.Register("script", s)
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return e
}

func closeEngine(t *testing.T, e *operation.Engine) {
	t.Helper()
	if err := e.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

func spec(text string) operation.Spec {
	return operation.Spec{
		Kind: "script", Folder: "f", CreatedBy: "me", Description: "Do " + text, ResourceID: "r",
		Metadata: wrapperspb.Int64(7), Request: wrapperspb.String(text),
	}
}

func submit(t *testing.T, e *operation.Engine, s operation.Spec) *opb.Operation {
	t.Helper()
	op, err := e.Submit(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return op
}

func wait(t *testing.T, e *operation.Engine, id string) *opb.Operation {
	t.Helper()
	op, err := e.Wait(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return op
}

// answer is an operation's response, or its error as a code and message.
func answer(t *testing.T, op *opb.Operation) string {
	t.Helper()
	if !op.Done {
		return "not done"
	}
	if e := op.GetError(); e != nil {
		return fmt.Sprintf("%v: %s", codes.Code(e.Code), e.Message)
	}
	var v wrapperspb.StringValue
	if err := op.GetResponse().UnmarshalTo(&v); err != nil {
		t.Fatal(err)
	}
	return v.Value
}

func TestAnOperationFromBeginningToEnd(t *testing.T) {
	s := newScript()
	e := open(t, operation.Options{}, s)
	defer closeEngine(t, e)
	op := submit(t, e, spec("wait a"))
	if op.Done || op.Description != "Do wait a" || op.CreatedBy != "me" || len(op.Id) != 20 || op.Metadata == nil {
		t.Errorf("submitted: %v", op)
	}
	<-s.begun
	if info, err := e.Info(op.Id); err != nil || info != (operation.Info{
		Kind: "script", Folder: "f", ResourceID: "r", CreatedBy: "me", Stage: operation.Active,
	}) {
		t.Errorf("%+v, %v", info, err)
	}
	close(s.release)
	end := wait(t, e, op.Id)
	if got := answer(t, end); got != "did wait a" {
		t.Error(got)
	}
	if !proto.Equal(end.Metadata, op.Metadata) || end.ModifiedAt.AsTime().Before(op.CreatedAt.AsTime()) {
		t.Errorf("ended: %v", end)
	}
	if again, err := e.Get(op.Id); err != nil || !proto.Equal(again, end) {
		t.Errorf("%v, %v", again, err)
	}
	if _, err := e.Get("other"); !errors.Is(err, operation.ErrNotFound) {
		t.Error(err)
	}
}

func TestEnds(t *testing.T) {
	tests := map[string]string{
		"do":    "did do",
		"fail":  "Internal: it broke",
		"panic": "Internal: internal error in operation ID",
	}
	s := newScript()
	e := open(t, operation.Options{}, s)
	defer closeEngine(t, e)
	for _, inline := range []bool{false, true} {
		for text, want := range tests {
			what := spec(text)
			what.Inline = inline
			op := submit(t, e, what)
			if op.Done != inline {
				t.Errorf("%s, inline %v: done is %v", text, inline, op.Done)
			}
			got := strings.ReplaceAll(answer(t, wait(t, e, op.Id)), op.Id, "ID")
			if got != want {
				t.Errorf("%s, inline %v: %s, want %s", text, inline, got, want)
			}
		}
	}
}

// What an operation had reserved is given up when its handler panics, and when it
// is not run because the database fails.
func TestAbandonedWhenNotRun(t *testing.T) {
	s := newScript()
	e := open(t, operation.Options{Workers: 1}, s)
	defer closeEngine(t, e)
	for _, inline := range []bool{false, true} {
		what := spec("panic")
		what.Inline = inline
		wait(t, e, submit(t, e, what).Id)
	}
	if diff := cmp.Diff([]string{"panic", "panic"}, s.abandoned); diff != "" {
		t.Errorf("after panics: %s", diff)
	}
	s.abandoned = nil
	first := submit(t, e, spec("wait"))
	for <-s.begun != "wait" { // it has the one worker then
	}
	second := submit(t, e, spec("do"))
	giveBack := operation.WithoutDatabase(e)
	close(s.release)
	wait(t, e, first.Id)
	wait(t, e, second.Id)
	giveBack()
	if len(s.abandoned) != 1 {
		t.Errorf("one was not run, and %d were abandoned", len(s.abandoned))
	}
}

func TestInlineThatTakesLonger(t *testing.T) {
	s := newScript()
	e := open(t, operation.Options{}, s)
	defer closeEngine(t, e)
	what := spec("longer")
	what.Inline = true
	op := submit(t, e, what)
	if op.Done {
		t.Fatal("done at once")
	}
	if got := answer(t, wait(t, e, op.Id)); got != "did longer" {
		t.Error(got)
	}
}

func TestCancel(t *testing.T) {
	tests := []struct {
		name, text string
		queued     bool
		want       string
		abandoned  []string
	}{
		{"queued", "wait b", true, "Canceled: operation was cancelled", []string{"wait b"}},
		{"at work", "wait b", false, "Canceled: operation was cancelled", nil},
		{"finished in spite of it", "stubborn", false, "did stubborn", nil},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			s := newScript()
			e := open(t, operation.Options{Workers: 1}, s)
			defer closeEngine(t, e)
			if tc.queued {
				submit(t, e, spec("wait a"))
				<-s.begun
			}
			op := submit(t, e, spec(tc.text))
			if !tc.queued {
				<-s.begun
			}
			now, err := e.Cancel(t.Context(), op.Id)
			if err != nil {
				t.Fatal(err)
			}
			if tc.queued && !now.Done {
				t.Error("queued, cancelled, and not done")
			}
			if got := answer(t, wait(t, e, op.Id)); got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
			if _, err := e.Cancel(t.Context(), op.Id); err != nil {
				t.Errorf("again: %v", err)
			}
			if diff := cmp.Diff(tc.abandoned, s.abandoned); diff != "" {
				t.Error(diff)
			}
			close(s.release)
		})
	}
}

func TestIdempotencyKeys(t *testing.T) {
	dir := t.TempDir()
	s := newScript()
	close(s.release)
	e := open(t, operation.Options{Dir: dir}, s)
	keyed := func(text, caller string) operation.Spec {
		what := spec(text)
		what.IdempotencyKey, what.CreatedBy = "key", caller
		return what
	}
	first := submit(t, e, keyed("a", "me"))
	check := func() {
		t.Helper()
		if again := submit(t, e, keyed("a", "me")); again.Id != first.Id {
			t.Error("the same request made another operation")
		}
		if _, err := e.Submit(t.Context(), keyed("b", "me")); !errors.Is(err, operation.ErrKeyReused) {
			t.Errorf("another request: %v", err)
		}
	}
	check()
	wait(t, e, first.Id)
	check()
	closeEngine(t, e)
	e = open(t, operation.Options{Dir: dir}, s)
	defer closeEngine(t, e)
	check()
	if other := submit(t, e, keyed("b", "you")); other.Id == first.Id {
		t.Error("callers share keys")
	}
}

func TestOneReservationForConcurrentKeys(t *testing.T) {
	s := newScript()
	close(s.release)
	e := open(t, operation.Options{}, s)
	defer closeEngine(t, e)
	var mu sync.Mutex
	reserved := 0
	ids := make(map[string]bool)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			what := spec("a")
			what.IdempotencyKey = "key"
			what.Reserve = func(operation.Ticket) (operation.Reservation, error) {
				mu.Lock()
				defer mu.Unlock()
				reserved++
				return operation.Reservation{ResourceID: "new", Metadata: wrapperspb.Int64(1)}, nil
			}
			op, err := e.Submit(t.Context(), what)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
				return
			}
			ids[op.Id] = true
		})
	}
	wg.Wait()
	if reserved != 1 || len(ids) != 1 {
		t.Errorf("%d reservations, %d operations", reserved, len(ids))
	}
}

func TestARefusedReservationLeavesNothing(t *testing.T) {
	s := newScript()
	e := open(t, operation.Options{}, s)
	defer closeEngine(t, e)
	taken := errors.New("taken")
	what := spec("a")
	what.IdempotencyKey = "key"
	what.Reserve = func(operation.Ticket) (operation.Reservation, error) { return operation.Reservation{}, taken }
	if _, err := e.Submit(t.Context(), what); !errors.Is(err, taken) {
		t.Fatal(err)
	}
	what.Reserve = nil
	if got := answer(t, wait(t, e, submit(t, e, what).Id)); got != "did a" {
		t.Error(got)
	}
	if page, _, err := e.List(operation.Query{Folder: "f"}); err != nil || len(page) != 1 {
		t.Errorf("%d operations, %v", len(page), err)
	}
}

// TestRestart stops an engine with operations in every stage and starts it again.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	before := newScript()
	e := open(t, operation.Options{Dir: dir, Workers: 2}, before)
	done := submit(t, e, spec("done"))
	wait(t, e, done.Id)
	half := submit(t, e, spec("half"))
	atWork := submit(t, e, spec("wait at work"))
	for range 3 {
		<-before.begun
	}
	waits := submit(t, e, spec("wait in line"))
	closeEngine(t, e)
	if _, err := e.Submit(t.Context(), spec("late")); !errors.Is(err, operation.ErrClosed) {
		t.Errorf("submitted late: %v", err)
	}

	after := newScript()
	close(after.release)
	e = open(t, operation.Options{Dir: dir, Workers: 1}, after)
	defer closeEngine(t, e)
	for _, want := range []struct{ id, answer string }{
		{done.Id, "did done"},
		{half.Id, "did half"},
		{atWork.Id, "did wait at work"},
		{waits.Id, "did wait in line"},
	} {
		if got := answer(t, wait(t, e, want.id)); got != want.answer {
			t.Errorf("%s, want %s", got, want.answer)
		}
	}
	order := []string{"half", "wait at work", "wait in line"}
	if diff := cmp.Diff(order, after.restored); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(order, after.seen()); diff != "" {
		t.Error(diff)
	}
}

// TestSubmitBeforeStart runs what came before the start once.
func TestSubmitBeforeStart(t *testing.T) {
	e, err := operation.Open(t.Context(), operation.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer closeEngine(t, e)
	s := newScript()
	e.Register("script", s)
	early := submit(t, e, spec("early"))
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	wait(t, e, early.Id)
	wait(t, e, submit(t, e, spec("late")).Id)
	if diff := cmp.Diff([]string{"early", "late"}, s.seen()); diff != "" {
		t.Error(diff)
	}
}

func TestADamagedDatabaseIsBegunAnew(t *testing.T) {
	dir := t.TempDir()
	s := newScript()
	close(s.release)
	e := open(t, operation.Options{Dir: dir}, s)
	submit(t, e, spec("a"))
	closeEngine(t, e)
	if err := os.WriteFile(filepath.Join(dir, "badger", "MANIFEST"), []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	e = open(t, operation.Options{Dir: dir, Logger: slog.New(slog.NewTextHandler(&log, nil))}, s)
	defer closeEngine(t, e)
	if !strings.Contains(log.String(), "begun anew") {
		t.Errorf("log: %s", log.String())
	}
	if page, _, err := e.List(operation.Query{Folder: "f"}); err != nil || len(page) != 0 {
		t.Errorf("%d operations, %v", len(page), err)
	}
	if _, err := operation.Open(t.Context(), operation.Options{Dir: dir}); !errors.Is(err, blockio.ErrLocked) {
		t.Errorf("opened twice: %v", err)
	}
}

// TestSecretsGoWithTheOperation looks for a secret in everything that is left.
func TestSecretsGoWithTheOperation(t *testing.T) {
	const secret = "X-Amz-Signature=f00"
	s := newScript()
	e := open(t, operation.Options{}, s)
	defer closeEngine(t, e)
	what := spec("wait " + secret)
	what.Description, what.Private = "Import", []byte(secret)
	op := submit(t, e, what)
	<-s.begun
	close(s.release)
	wait(t, e, op.Id)
	if left := operation.Dump(e); strings.Contains(strings.ReplaceAll(left, "did wait "+secret, ""), secret) {
		t.Errorf("left: %s", left)
	}
}

func TestDrainIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		e, err := operation.Open(t.Context(), operation.Options{})
		if err != nil {
			t.Fatal(err)
		}
		begun := make(chan struct{})
		e.Register("deaf", operation.HandlerFunc(func(context.Context, *operation.Running) (proto.Message, error) {
			close(begun)
			<-release
			return &emptypb.Empty{}, nil
		}))
		if err := e.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Submit(t.Context(), operation.Spec{Kind: "deaf"}); err != nil {
			t.Fatal(err)
		}
		<-begun
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		if err := e.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("took %v", took)
		}
		close(release)
	})
}

// TestFailuresAreLoggedOnce has an operation fail by the node's fault, and one by its
// request's.
func TestFailuresAreLoggedOnce(t *testing.T) {
	for level, failure := range map[string]error{
		"ERROR": errors.New("it broke"), "WARN": grpcstatus.Error(codes.InvalidArgument, "it is wrong"),
	} {
		var log bytes.Buffer
		e, err := operation.Open(t.Context(), operation.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		e.Register("script", operation.HandlerFunc(func(context.Context, *operation.Running) (proto.Message, error) { return nil, failure }))
		if err := e.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		wait(t, e, submit(t, e, spec("fail")).Id)
		closeEngine(t, e)
		if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "level="+level) {
			t.Errorf("of %v, want it once as %s:\n%s", failure, level, got)
		}
	}
}
