package nbd

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics count what servers do; nil counts nothing.
type Metrics struct {
	connections prometheus.Gauge
	accepted    prometheus.Counter
	refusals    prometheus.Counter
	requests    [commands + 1]prometheus.Observer // by command; the last is for unknown ones
	errors      *prometheus.CounterVec
	read        prometheus.Counter
	written     prometheus.Counter
}

// NewMetrics makes the metrics and registers them.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	const namespace, subsystem = "blockmill", "nbd"
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help})
		reg.MustRegister(c)
		return c
	}
	m := &Metrics{
		connections: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "connections", Help: "Connections of NBD clients.",
		}),
		accepted: counter("connections_total", "Connections of NBD clients that were served."),
		refusals: counter("connections_refused_total", "Connections refused since there were too many."),
		read:     counter("read_bytes_total", "Bytes that NBD clients have read."),
		written:  counter("written_bytes_total", "Bytes that NBD clients have written."),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "errors_total",
			Help: "Requests answered with an error, by command and error.",
		}, []string{"command", "error"}),
	}
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Subsystem: subsystem, Name: "request_seconds",
		Help:    "Time from a request's arrival to its answer, by command.",
		Buckets: prometheus.ExponentialBuckets(1e-6, 4, 13),
	}, []string{"command"})
	for c := range m.requests {
		m.requests[c] = seconds.WithLabelValues(command(c).String())
	}
	reg.MustRegister(m.connections, m.errors, seconds)
	return m
}

func (m *Metrics) opened() {
	if m != nil {
		m.accepted.Inc()
		m.connections.Inc()
	}
}

func (m *Metrics) closed() {
	if m != nil {
		m.connections.Dec()
	}
}

func (m *Metrics) refused() {
	if m != nil {
		m.refusals.Inc()
	}
}

// request counts a request that is answered.
func (m *Metrics) request(r request, took time.Duration, err error) {
	if m == nil {
		return
	}
	m.requests[min(r.cmd, commands)].Observe(took.Seconds())
	switch {
	case err != nil:
		m.errors.WithLabelValues(r.cmd.String(), errnoOf(err).Error()).Inc()
	case r.cmd == cmdRead:
		m.read.Add(float64(r.n))
	case r.cmd == cmdWrite:
		m.written.Add(float64(r.n))
	}
}
