package provision

import "github.com/prometheus/client_golang/prometheus"

// Metrics tells of the golden bases of all directories of a node. A nil one counts
// nothing.
type Metrics struct {
	held      prometheus.Gauge
	evictions prometheus.Counter
}

// NewMetrics registers the metrics of a node's directories.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		held: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "blockmill_base_bytes", Help: "Bytes that golden bases hold in all disk directories.",
		}),
		evictions: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "blockmill_base_evictions_total",
			Help: "Golden bases that were removed for others or for disks, and are written anew when they are needed again.",
		}),
	}
	reg.MustRegister(m.held, m.evictions)
	return m
}

// hold notes that bases hold n bytes more.
func (m *Metrics) hold(n int64) {
	if m != nil {
		m.held.Add(float64(n))
	}
}

func (m *Metrics) evicted() {
	if m != nil {
		m.evictions.Inc()
	}
}
