package load_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blockmill/blockmill/bench/load"
	"github.com/google/go-cmp/cmp"
)

// sleeping is an act that takes so long.
func sleeping(name string, weight int, d time.Duration) load.Act {
	return load.Act{Name: name, Weight: weight, Do: func(ctx context.Context) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}}
}

func TestRunAsFastAsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := load.Run(t.Context(), load.Options{
			Acts:    []load.Act{sleeping("quick", 3, 10*time.Millisecond), sleeping("slow", 1, 10*time.Millisecond), sleeping("never", 0, time.Hour)},
			Callers: 4, Duration: time.Second,
		})
		if err != nil {
			t.Fatal(err)
		}
		// Four callers, a hundred answers each.
		if r.Requests < 396 || r.Requests > 404 || r.Errors != 0 || r.P50 != 0.01 || r.P99 != 0.01 || r.Max != 0.01 {
			t.Errorf("answers = %+v", r.Answers)
		}
		if len(r.Acts) != 2 || r.Acts[0].Requests < 295 || r.Acts[0].Requests > 305 {
			t.Errorf("three of four should be quick: %+v", r.Acts)
		}
	})
}

// With a rate, a caller that comes late is the daemon's fault: what waits for
// it counts.
func TestRunAtRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := load.Run(t.Context(), load.Options{
			Acts:    []load.Act{sleeping("stuck", 1, 100*time.Millisecond)},
			Callers: 1, Rate: 20, Duration: time.Second,
		})
		if err != nil {
			t.Fatal(err)
		}
		if r.Requests < 10 || r.Requests > 11 {
			t.Errorf("%d requests by one caller of 100 ms each in a second", r.Requests)
		}
		// The tenth was due at 450 ms and answered at a second.
		if r.Max < 0.5 || r.P50 < 0.25 {
			t.Errorf("the wait of late requests does not count: %+v", r.Answers)
		}
	})
}

func TestRunCountsErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		r, err := load.Run(t.Context(), load.Options{
			Acts: []load.Act{{Name: "odd", Weight: 1, Do: func(ctx context.Context) error {
				if n.Add(1)%2 == 0 {
					return errors.New("even")
				}
				return sleeping("", 1, time.Millisecond).Do(ctx)
			}}},
			Callers: 2, Rate: 100, Duration: time.Second,
		})
		if err != nil {
			t.Fatal(err)
		}
		if r.Errors < r.Requests/2-1 || r.Errors > r.Requests/2+1 || r.FirstError != "even" || r.Max != 0.001 {
			t.Errorf("answers = %+v", r.Answers)
		}
		var text strings.Builder
		if err := r.Table(&text); err != nil || !strings.Contains(text.String(), "an error: even") {
			t.Errorf("table = %s, %v", text.String(), err)
		}
	})
}

func TestRunRefuses(t *testing.T) {
	act := sleeping("one", 1, 0)
	tests := []struct {
		opts load.Options
		err  string
	}{
		{load.Options{}, "load: nothing to do"},
		{load.Options{Acts: []load.Act{sleeping("one", 0, 0)}}, "load: nothing to do"},
		{load.Options{Acts: []load.Act{sleeping("one", -1, 0)}}, "load: act one has weight -1"},
		{load.Options{Acts: []load.Act{act}, Rate: -1}, "load: callers, rate and duration are never negative"},
	}
	var got, want []string
	for _, tt := range tests {
		_, err := load.Run(t.Context(), tt.opts)
		if err == nil {
			t.Fatalf("%+v was taken", tt.opts)
		}
		got, want = append(got, err.Error()), append(want, tt.err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
}
