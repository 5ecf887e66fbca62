package disks

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Latencies are how long each of a number of calls took, ascending.
type Latencies []time.Duration

// Quantile is the latency that the share q of calls kept within.
func (l Latencies) Quantile(q float64) time.Duration {
	if len(l) == 0 {
		return 0
	}
	i := int(q*float64(len(l))+0.999999) - 1
	return l[min(max(i, 0), len(l)-1)]
}

// InARow measures n calls, one after another.
func InARow(ctx context.Context, n int, call func(ctx context.Context, i int) error) (Latencies, error) {
	var l Latencies
	for i := range n {
		began := time.Now()
		if err := call(ctx, i); err != nil {
			return nil, err
		}
		l = append(l, time.Since(began))
	}
	slices.Sort(l)
	return l, nil
}

// AtOnce measures n calls that begin together.
func AtOnce(ctx context.Context, n int, call func(ctx context.Context, i int) error) (Latencies, error) {
	l := make(Latencies, n)
	errs := make([]error, n)
	begin := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-begin
			began := time.Now()
			errs[i] = call(ctx, i)
			l[i] = time.Since(began)
		})
	}
	close(begin)
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(l)
	return l, nil
}
