package operation_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/blockmill/blockmill/api/operation"
)

// TestFoldersTakeTurns lets one worker take operations of a folder that has many
// and of others that have few.
func TestFoldersTakeTurns(t *testing.T) {
	s := newScript()
	e := open(t, operation.Options{Workers: 1}, s)
	defer closeEngine(t, e)
	submit(t, e, spec("wait first"))
	<-s.begun
	for _, what := range []struct {
		folder string
		count  int
	}{{"a", 4}, {"b", 2}, {"c", 1}} {
		for i := range what.count {
			sp := spec(fmt.Sprintf("%s%d", what.folder, i))
			sp.Folder = what.folder
			submit(t, e, sp)
		}
	}
	close(s.release)
	var order []string
	for range 7 {
		order = append(order, (<-s.begun)[:1])
	}
	for _, first := range [][]string{order[:3], order[3:5]} {
		seen := make(map[string]bool)
		for _, folder := range first {
			if seen[folder] {
				t.Errorf("a folder came twice before others: %v", order)
			}
			seen[folder] = true
		}
	}
	if diff := cmp.Diff([]string{"a", "a"}, order[5:]); diff != "" {
		t.Errorf("%v: %s", order, diff)
	}
}

// TestAFolderDoesNotKeepAllWorkers gives the next place to the folder that has the
// fewest operations at work.
func TestAFolderDoesNotKeepAllWorkers(t *testing.T) {
	s := newScript()
	e := open(t, operation.Options{Workers: 3}, s)
	defer closeEngine(t, e)
	var first []*opb.Operation
	for i := range 3 {
		first = append(first, submit(t, e, spec(fmt.Sprintf("wait a%d", i))))
		<-s.begun
	}
	submit(t, e, spec("a waits"))
	other := spec("b waits")
	other.Folder = "g"
	submit(t, e, other)
	if _, err := e.Cancel(t.Context(), first[0].Id); err != nil {
		t.Fatal(err)
	}
	if got := <-s.begun; got != "b waits" {
		t.Errorf("%q came first", got)
	}
	close(s.release)
}

func TestAFolderHasItsShareOfTheQueue(t *testing.T) {
	s := newScript()
	e := open(t, operation.Options{Workers: 1, Queue: 2}, s)
	defer closeEngine(t, e)
	submit(t, e, spec("wait"))
	<-s.begun
	submit(t, e, spec("a"))
	submit(t, e, spec("b"))
	if _, err := e.Submit(t.Context(), spec("c")); !errors.Is(err, operation.ErrFull) {
		t.Errorf("over its share: %v", err)
	}
	other := spec("d")
	other.Folder = "g"
	submit(t, e, other)
	close(s.release)
}

// TestTenThousandQueued queues ten thousand operations, restarts, and cancels
// them all.
func TestTenThousandQueued(t *testing.T) {
	const count = 10_000
	dir := t.TempDir()
	first := newScript()
	e := open(t, operation.Options{Dir: dir, Workers: 1}, first)
	running := submit(t, e, spec("wait"))
	<-first.begun
	ids := make([]string, count)
	each(count, func(i int) {
		what := spec(fmt.Sprint("wait ", i))
		what.Folder = fmt.Sprint("folder", i%7)
		op, err := e.Submit(context.Background(), what)
		if err != nil {
			t.Error(err)
			return
		}
		ids[i] = op.Id
	})
	if waiting, active := e.Load(); waiting != count || active != 1 {
		t.Errorf("%d wait, %d are at work", waiting, active)
	}
	closeEngine(t, e)

	second := newScript()
	e = open(t, operation.Options{Dir: dir, Workers: 1}, second)
	defer closeEngine(t, e)
	<-second.begun
	each(count, func(i int) {
		if _, err := e.Cancel(context.Background(), ids[i]); err != nil {
			t.Error(err)
		}
	})
	if _, err := e.Cancel(t.Context(), running.Id); err != nil {
		t.Error(err)
	}
	for _, id := range append(ids, running.Id) {
		if op := wait(t, e, id); op.GetError().GetCode() != int32(codes.Canceled) {
			t.Fatalf("%s ended with %v", id, op.Result)
		}
	}
	if waiting, active := e.Load(); waiting != 0 || active > 1 {
		t.Errorf("%d wait, %d are at work", waiting, active)
	}
	// Each was undone, but for those that a worker had begun.
	if n := len(second.abandoned) + len(second.seen()); n != count+1 {
		t.Errorf("%d were undone or run, of %d", n, count+1)
	}
}

// each calls f for 0 to n-1, by a few goroutines.
func each(n int, f func(int)) {
	var wg sync.WaitGroup
	const workers = 500
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n; i += workers {
				f(i)
			}
		})
	}
	wg.Wait()
}

func TestPages(t *testing.T) {
	s := newScript()
	e := open(t, operation.Options{}, s)
	defer closeEngine(t, e)
	var want []string
	for i := range 25 {
		op := submit(t, e, spec(fmt.Sprint(i)))
		wait(t, e, op.Id)
		want = append([]string{op.Id}, want...)
	}
	for _, q := range []operation.Query{{Folder: "f", Size: 10}, {ResourceID: "r", Size: 7}} {
		var got []string
		for {
			page, next, err := e.List(q)
			if err != nil {
				t.Fatal(err)
			}
			for _, op := range page {
				got = append(got, op.Id)
			}
			if q.Token = next; next == "" {
				break
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%+v: %s", q, diff)
		}
	}
	if _, _, err := e.List(operation.Query{Folder: "f", Token: "%"}); !errors.Is(err, operation.ErrPageToken) {
		t.Error(err)
	}
	if page, _, err := e.List(operation.Query{Folder: "f", Pending: true}); err != nil || len(page) != 0 {
		t.Errorf("%d wait, %v", len(page), err)
	}
}

// TestWatch watches an operation that makes progress every 10 ms.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, err := operation.Open(t.Context(), operation.Options{WatchInterval: 100 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		e.Register("step", operation.HandlerFunc(func(_ context.Context, op *operation.Running) (proto.Message, error) {
			for i := range int64(100) {
				<-time.After(10 * time.Millisecond)
				op.Progress(i+1, 100)
			}
			return wrapperspb.String("done"), nil
		}))
		if err := e.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer closeEngine(t, e)
		op := submit(t, e, operation.Spec{Kind: "step"})
		last, looks := int64(-1), 0
		for p, err := range e.Watch(t.Context(), op.Id) {
			if err != nil {
				t.Fatal(err)
			}
			if p.Done < last || (p.Stage == operation.Done) != (p.Operation != nil) {
				t.Errorf("after %d: %+v", last, p)
			}
			last = p.Done
			looks++
		}
		if last != 100 || looks < 9 || looks > 14 {
			t.Errorf("saw %d at last, in %d looks", last, looks)
		}
		for _, err := range e.Watch(t.Context(), "none") {
			if !errors.Is(err, operation.ErrNotFound) {
				t.Error(err)
			}
		}
	})
}
