package fetch

import (
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics count what all sources that share them fetch. Nothing of a URL is in
// them. The zero value counts for nobody.
type Metrics struct {
	bytes, retries, failures atomic.Int64
	// requests are those of the outcomes.
	requests [len(outcomes)]atomic.Int64
}

var _ prometheus.Collector = (*Metrics)(nil)

// outcomes are the classes of what becomes of a request.
var outcomes = [...]string{"error", "1xx", "2xx", "3xx", "4xx", "5xx"}

var (
	bytesDesc    = prometheus.NewDesc("blockmill_fetch_bytes_total", "Bytes of bodies that were fetched.", nil, nil)
	requestsDesc = prometheus.NewDesc("blockmill_fetch_requests_total", "Requests by the class of their status; error for those without one.", []string{"outcome"}, nil)
	retriesDesc  = prometheus.NewDesc("blockmill_fetch_retries_total", "Attempts that were made again.", nil, nil)
	failuresDesc = prometheus.NewDesc("blockmill_fetch_failures_total", "Ranges given up after all attempts.", nil, nil)
)

// NewMetrics registers metrics.
func NewMetrics(reg prometheus.Registerer) (*Metrics, error) {
	m := new(Metrics)
	if err := reg.Register(m); err != nil {
		return nil, fmt.Errorf("register metrics of fetch: %w", err)
	}
	return m, nil
}

// Describe is of prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{bytesDesc, requestsDesc, retriesDesc, failuresDesc} {
		ch <- d
	}
}

// Collect is of prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	count := func(d *prometheus.Desc, n *atomic.Int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n.Load()), labels...)
	}
	count(bytesDesc, &m.bytes)
	count(retriesDesc, &m.retries)
	count(failuresDesc, &m.failures)
	for i, outcome := range outcomes {
		count(requestsDesc, &m.requests[i], outcome)
	}
}

// requested counts a request by its outcome.
func (m *Metrics) requested(resp *http.Response, err error) {
	class := 0
	if err == nil && resp.StatusCode/100 < len(outcomes) {
		class = resp.StatusCode / 100
	}
	m.requests[class].Add(1)
}

func (m *Metrics) failed() { m.failures.Add(1) }
