package lazy

import "github.com/prometheus/client_golang/prometheus"

// Metrics counts the bytes that lazy disks take from their bases. A nil one
// counts nothing.
type Metrics struct{ demand, hydration prometheus.Counter }

// NewMetrics registers the metrics of all lazy disks of a node.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	bytes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "blockmill_lazy_base_read_bytes_total",
		Help: "Bytes that lazy disks took from the store, on demand of a guest or to stand alone (hydration).",
	}, []string{"cause"})
	reg.MustRegister(bytes)
	return &Metrics{demand: bytes.WithLabelValues("demand"), hydration: bytes.WithLabelValues("hydration")}
}

func (m *Metrics) demanded(n int64) {
	if m != nil {
		m.demand.Add(float64(n))
	}
}

func (m *Metrics) hydrated(n int64) {
	if m != nil {
		m.hydration.Add(float64(n))
	}
}
