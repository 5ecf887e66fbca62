package blockio_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
)

// Commits that wait for a sync of their directory share the next one.
func TestSharedDirectorySync(t *testing.T) {
	t.Parallel()
	v := blockiotest.NewMemVolume()
	if err := blockio.WriteObject(t.Context(), v, "rec/first", nil); err != nil {
		t.Fatal(err)
	}
	const writers = 16
	// The first sync waits until all writers have renamed.
	var renamed sync.WaitGroup
	renamed.Add(writers)
	v.OnChange(func(op blockiotest.Op) {
		switch op.Kind {
		case blockiotest.OpRename:
			renamed.Done()
		case blockiotest.OpSyncDir:
			renamed.Wait()
		}
	})
	before := v.Count(blockiotest.OpSyncDir)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			if err := blockio.WriteObject(t.Context(), v, fmt.Sprintf("rec/%d", i), nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := v.Count(blockiotest.OpSyncDir) - before; n > writers/2 {
		t.Errorf("%d syncs for %d commits", n, writers)
	}
	for i := range writers {
		if _, err := readObject(t, v.CrashClone(blockiotest.Crash{}), fmt.Sprintf("rec/%d", i)); err != nil {
			t.Error(err)
		}
	}
}

// When a shared sync fails nobody who shared it is told that all is well, nor
// who comes after.
func TestSharedSyncFails(t *testing.T) {
	t.Parallel()
	v := blockiotest.NewMemVolume()
	if err := blockio.WriteObject(t.Context(), v, "rec/first", nil); err != nil {
		t.Fatal(err)
	}
	v.Inject(blockiotest.Fault{Ops: blockiotest.OpSyncDir, N: 2})
	errs := make([]error, 12)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = blockio.WriteObject(t.Context(), v, fmt.Sprintf("rec/%d", i), nil) })
	}
	wg.Wait()
	if errors.Join(errs...) == nil {
		t.Log("all shared the first sync")
	}
	for i, err := range errs {
		if _, lost := readObject(t, v.CrashClone(blockiotest.Crash{}), fmt.Sprintf("rec/%d", i)); err == nil && lost != nil {
			t.Errorf("rec/%d was acknowledged and is lost: %v", i, lost)
		}
	}
}
