package operation

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/grpc/codes"
)

// Metrics are what an engine counts. A nil Metrics counts nothing.
type Metrics struct {
	submits, ends  *prometheus.CounterVec
	waiting, work  *prometheus.GaugeVec
	waits, running *prometheus.HistogramVec
}

// NewMetrics makes the metrics of one engine and registers them.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	seconds := prometheus.ExponentialBuckets(0.005, 4, 10)
	m := &Metrics{
		submits: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "blockmill_operations_submitted_total", Help: "Operations that were accepted.",
		}, []string{"kind"}),
		ends: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "blockmill_operations_ended_total", Help: "Operations that ended, by the code of their status.",
		}, []string{"kind", "code"}),
		waiting: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "blockmill_operations_waiting", Help: "Operations that wait for a worker.",
		}, []string{"kind"}),
		work: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "blockmill_operations_active", Help: "Operations that a worker carries out.",
		}, []string{"kind"}),
		waits: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "blockmill_operation_wait_seconds", Help: "Time from an operation's submission to its beginning.", Buckets: seconds,
		}, []string{"kind"}),
		running: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "blockmill_operation_run_seconds", Help: "Time that handlers took.", Buckets: seconds,
		}, []string{"kind"}),
	}
	reg.MustRegister(m.submits, m.ends, m.waiting, m.work, m.waits, m.running)
	return m
}

func (m *Metrics) submitted(kind string) {
	if m != nil {
		m.submits.WithLabelValues(kind).Inc()
	}
}

func (m *Metrics) queued(kind string, n int) {
	if m != nil {
		m.waiting.WithLabelValues(kind).Add(float64(n))
	}
}

func (m *Metrics) active(kind string, n int) {
	if m != nil {
		m.work.WithLabelValues(kind).Add(float64(n))
	}
}

func (m *Metrics) waited(kind string, d time.Duration) {
	if m != nil {
		m.waits.WithLabelValues(kind).Observe(d.Seconds())
	}
}

func (m *Metrics) ran(kind string, d time.Duration) {
	if m != nil {
		m.running.WithLabelValues(kind).Observe(d.Seconds())
	}
}

func (m *Metrics) ended(kind string, op *opb.Operation) {
	if m != nil {
		m.ends.WithLabelValues(kind, codes.Code(op.GetError().GetCode()).String()).Inc()
	}
}
