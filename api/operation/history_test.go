package operation_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"

	"github.com/blockmill/blockmill/api/operation"
)

func TestHistoryIsPruned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript()
		e := open(t, operation.Options{HistoryAge: time.Hour, HistoryCount: 40}, s)
		defer closeEngine(t, e)
		old := spec("old")
		old.IdempotencyKey = "key"
		id := submit(t, e, old).Id
		wait(t, e, id)
		<-time.After(59 * time.Minute)
		if again := submit(t, e, old); again.Id != id {
			t.Error("forgotten too early")
		}
		<-time.After(3 * time.Hour)
		if _, err := e.Get(id); !errors.Is(err, operation.ErrNotFound) {
			t.Errorf("after its time: %v", err)
		}
		if again := submit(t, e, old); again.Id == id {
			t.Error("its key outlived it")
		}
		for i := range 120 {
			wait(t, e, submit(t, e, spec(fmt.Sprint(i))).Id)
		}
		page, _, err := e.List(operation.Query{Folder: "f", Size: 1000})
		if err != nil || len(page) < 40 || len(page) > 45 {
			t.Errorf("%d are left of 120, %v", len(page), err)
		}
	})
}

// Operations that end at once prune at once.
func TestPrunedByMany(t *testing.T) {
	e := open(t, operation.Options{HistoryCount: 8}, newScript())
	defer closeEngine(t, e)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				what := spec("do")
				what.Inline = true
				if _, err := e.Submit(t.Context(), what); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if page, _, err := e.List(operation.Query{Folder: "f", Size: 1000}); err != nil || len(page) > 9 {
		t.Errorf("%d are left, want at most 9, %v", len(page), err)
	}
}

// What ends while somebody prunes, who has looked at the history already, is not
// left for later.
func TestPrunedBesideAnother(t *testing.T) {
	var e *operation.Engine
	end := func(n int) {
		for range n {
			what := spec("do")
			what.Inline = true
			if _, err := e.Submit(t.Context(), what); err != nil {
				t.Error(err)
			}
		}
	}
	// The database is away while the first who is to prune does; that is logged.
	ended := 0
	var giveBack func()
	e = open(t, operation.Options{
		HistoryCount: 8,
		Ended: func(operation.Info, *opb.Operation) {
			if ended++; ended == 10 {
				giveBack = operation.WithoutDatabase(e)
			}
		},
		Logger: slog.New(slog.NewTextHandler(writerFunc(func(p []byte) {
			if giveBack == nil || !bytes.Contains(p, []byte("stay in the database")) {
				return
			}
			giveBack()
			giveBack = nil
			end(20)
		}), nil)),
	}, newScript())
	defer closeEngine(t, e)
	end(10)
	if page, _, err := e.List(operation.Query{Folder: "f", Size: 1000}); ended != 30 || err != nil || len(page) > 9 {
		t.Errorf("%d of %d are left, want at most 9 of 30, %v", len(page), ended, err)
	}
}

// writerFunc is called for each write.
type writerFunc func(p []byte)

func (f writerFunc) Write(p []byte) (int, error) {
	f(p)
	return len(p), nil
}
