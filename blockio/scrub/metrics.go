package scrub

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Register registers the metrics of a scrubber.
func (s *Scrubber) Register(reg prometheus.Registerer) error {
	if err := reg.Register(metrics{s}); err != nil {
		return fmt.Errorf("register metrics of scrub: %w", err)
	}
	return nil
}

// metrics collects from a scrubber.
type metrics struct{ *Scrubber }

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("blockmill_scrub_"+name, help, labels, nil)
}

var (
	running    = describe("running", "1 while a scrub runs.")
	progressed = describe("progress_ratio", "How far the phase of the scrub that runs is.", "phase")
	found      = describe("found_total", "Damaged places that scrubs found.")
	repaired   = describe("repaired_total", "Damaged places that scrubs repaired.")
	verifying  = describe("verified_chunks_total", "Chunks whose BLAKE3 scrubs checked.")
	last       = describe("last_success_timestamp_seconds", "When the last look at everything came to its end: at the rows of shards, at the BLAKE3 of chunks.", "cycle")
	left       = describe("unrepaired", "Damaged places that the last look at everything left.", "cycle")
)

// Describe implements prometheus.Collector.
func (m metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{running, progressed, found, repaired, verifying, last, left} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m metrics) Collect(ch chan<- prometheus.Metric) {
	emit := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, kind, v, labels...)
	}
	p, runs := m.Running()
	if runs {
		emit(running, prometheus.GaugeValue, 1)
		emit(progressed, prometheus.GaugeValue, float64(p.Done)/float64(max(1, p.Total)), string(p.Phase))
	} else {
		emit(running, prometheus.GaugeValue, 0)
	}
	m.mu.Lock()
	st, c := m.state, m.counts
	m.mu.Unlock()
	emit(found, prometheus.CounterValue, float64(c.found))
	emit(repaired, prometheus.CounterValue, float64(c.repaired))
	emit(verifying, prometheus.CounterValue, float64(c.chunks))
	for cycle, of := range map[Phase]Cycle{PhaseRows: st.Rows, PhaseChunks: st.Chunks} {
		if of.FinishedAt.After(time.Time{}) {
			emit(last, prometheus.GaugeValue, float64(of.FinishedAt.Unix()), string(cycle))
			emit(left, prometheus.GaugeValue, float64(of.Unrepaired), string(cycle))
		}
	}
}
