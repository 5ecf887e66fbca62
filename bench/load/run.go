package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Act is one kind of request.
type Act struct {
	Name string
	// Weight is how often it is chosen, beside the others'.
	Weight int
	Do     func(ctx context.Context) error
}

// Options say how to load.
type Options struct {
	Acts     []Act
	Callers  int           // at once; 16 when 0
	Duration time.Duration // 10 s when 0
	Rate     float64       // requests a second in all; 0: as many as the callers can
}

func (o Options) withDefaults() Options {
	if o.Callers == 0 {
		o.Callers = 16
	}
	if o.Duration == 0 {
		o.Duration = 10 * time.Second
	}
	return o
}

func (o Options) validate() error {
	for _, a := range o.Acts {
		if a.Weight < 0 {
			return fmt.Errorf("load: act %s has weight %d", a.Name, a.Weight)
		}
	}
	if o.schedule() == nil {
		return errors.New("load: nothing to do")
	}
	if o.Callers < 0 || o.Rate < 0 || o.Duration < 0 {
		return errors.New("load: callers, rate and duration are never negative")
	}
	return nil
}

// schedule is one round of acts, each as often as its weight says, spread.
func (o Options) schedule() []int {
	most := 0
	for _, a := range o.Acts {
		most = max(most, a.Weight)
	}
	var round []int
	for turn := range most {
		for i, a := range o.Acts {
			// a's share of the turns so far grows by one here.
			if (turn+1)*a.Weight/most > turn*a.Weight/most {
				round = append(round, i)
			}
		}
	}
	return round
}

// call is an answer.
type call struct {
	act  int
	took time.Duration
	err  error
}

// Run loads until the time is over or ctx ends. What acts return as errors is
// counted; the error is of the options.
func Run(ctx context.Context, opts Options) (Report, error) {
	opts = opts.withDefaults()
	if err := opts.validate(); err != nil {
		return Report{}, err
	}
	start := time.Now()
	timed, cancel := context.WithDeadline(ctx, start.Add(opts.Duration))
	defer cancel()
	turns := make(chan turn)
	var callers sync.WaitGroup
	calls := make([][]call, opts.Callers)
	for i := range opts.Callers {
		callers.Go(func() {
			for t := range turns {
				calls[i] = append(calls[i], opts.do(ctx, t))
			}
		})
	}
	opts.issue(timed, start, turns)
	close(turns)
	callers.Wait()
	return report(opts.Acts, calls, time.Since(start)), nil
}

// turn is a request to be made, and when it was due; zero is whenever it is
// taken.
type turn struct {
	act int
	due time.Time
}

// issue hands out turns until ctx ends.
func (o Options) issue(ctx context.Context, start time.Time, turns chan<- turn) {
	round := o.schedule()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for n := 0; ctx.Err() == nil; n++ {
		t := turn{act: round[n%len(round)]}
		if o.Rate > 0 {
			t.due = start.Add(time.Duration(float64(n) / o.Rate * float64(time.Second)))
			timer.Reset(time.Until(t.due))
			select {
			case <-timer.C:
			case <-ctx.Done():
				return
			}
		}
		select {
		case turns <- t:
		case <-ctx.Done():
			return
		}
	}
}

// do makes one request. It is not cut off by the end of the run, which would
// make the slowest answers vanish.
func (o Options) do(ctx context.Context, t turn) call {
	if t.due.IsZero() {
		t.due = time.Now()
	}
	err := o.Acts[t.act].Do(ctx)
	return call{t.act, time.Since(t.due), err}
}
