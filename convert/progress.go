package convert

import (
	"context"
	"sync"
)

// meter counts the bytes of data that a pipeline has done and has to do. A nil
// meter counts nothing.
type meter struct {
	report func(done, total int64)

	mu          sync.Mutex // held while report runs
	done, total int64
}

func newMeter(report func(done, total int64)) *meter {
	if report == nil {
		return nil
	}
	return &meter{report: report}
}

// add counts bytes that are done.
func (m *meter) add(n int64) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done += n
	m.report(m.done, m.total)
}

// measure finds out how many bytes there are to do, by a walk of its own over
// the extents.
func (m *meter) measure(ctx context.Context, img Image) error {
	var total int64
	for w, err := range windows(ctx, img) {
		if err != nil {
			return err
		}
		total += w.data()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.total = total
	m.report(m.done, m.total)
	return nil
}
