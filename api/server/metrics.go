package server

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
)

// Metrics are what a server counts. A nil Metrics counts nothing.
type Metrics struct {
	requests    *prometheus.CounterVec
	seconds     *prometheus.HistogramVec
	connections *prometheus.GaugeVec
	refused     *prometheus.CounterVec
	turnedAway  *prometheus.CounterVec
	overLimit   *prometheus.CounterVec
}

// NewMetrics makes the metrics of one server and registers them.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "blockmill_api_requests_total", Help: "Calls of the API, by the code of their status.",
		}, []string{"method", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "blockmill_api_request_seconds", Help: "Time that calls of the API took.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1, 10},
		}, []string{"method"}),
		connections: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "blockmill_api_connections", Help: "Connections that are open.",
		}, []string{"listener"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "blockmill_api_refused_connections_total", Help: "Connections that were closed because there were too many.",
		}, []string{"listener"}),
		turnedAway: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "blockmill_api_refused_calls_total", Help: "Calls that were turned away before their messages were read.",
		}, []string{"code"}),
		overLimit: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "blockmill_api_over_limit_total", Help: "Calls and requests that were refused because there were too many of them at once, or of their caller's.",
		}, []string{"limit"}),
	}
	reg.MustRegister(m.requests, m.seconds, m.connections, m.refused, m.turnedAway, m.overLimit)
	return m
}

func (m *Metrics) called(method string, code codes.Code, d time.Duration) {
	if m != nil {
		method = strings.TrimPrefix(method, "/")
		m.requests.WithLabelValues(method, code.String()).Inc()
		m.seconds.WithLabelValues(method).Observe(d.Seconds())
	}
}

func (m *Metrics) connection(listener string, n int) {
	if m != nil {
		m.connections.WithLabelValues(listener).Add(float64(n))
	}
}

func (m *Metrics) refusedConnection(listener string) {
	if m != nil {
		m.refused.WithLabelValues(listener).Inc()
	}
}

func (m *Metrics) refusedCall(code codes.Code) {
	if m != nil {
		m.turnedAway.WithLabelValues(code.String()).Inc()
	}
}

func (m *Metrics) limited(full place) {
	if m != nil {
		m.overLimit.WithLabelValues(full.String()).Inc()
	}
}
