// Package leak looks for goroutines that tests leave behind.
//
// It is goleak with more patience: on a busy machine what has been told to end
// may take longer than the half second that goleak gives it.
package leak

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long goroutines may take to end.
const patience = 30 * time.Second

// Main runs the tests of a package and ends the process. It fails when goroutines
// are left that none of the options leaves out.
func Main(m *testing.M, options ...goleak.Option) {
	code := m.Run()
	if code == 0 {
		if err := find(patience, options...); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// Check returns what fails the test when goroutines are left then that are not there
// now. No other test may run at the time.
func Check(t testing.TB) func() {
	t.Helper()
	now := goleak.IgnoreCurrent()
	return func() {
		t.Helper()
		if err := find(patience, now); err != nil {
			t.Error(err)
		}
	}
}

// find looks until nothing is left, or for so long; each look takes a while itself.
func find(patience time.Duration, options ...goleak.Option) error {
	for began := time.Now(); ; {
		err := goleak.Find(options...)
		if err == nil || time.Since(began) > patience {
			return err
		}
	}
}
