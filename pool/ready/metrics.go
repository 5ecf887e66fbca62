package ready

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts what happens in pools.
type Metrics struct {
	creates  *prometheus.CounterVec
	refills  *prometheus.CounterVec
	discards prometheus.Counter
	seconds  prometheus.Histogram
	waits    prometheus.Histogram
	reg      prometheus.Registerer
}

// NewMetrics registers the metrics of one stock.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		creates: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "blockmill_pool_creates_total",
			Help: "Creates of disks from pooled images: hit, miss (made its own), or wait (waited for a refill).",
		}, []string{"result"}),
		refills: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "blockmill_pool_refills_total", Help: "Ready disks that were made, or could not be.",
		}, []string{"result"}),
		discards: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "blockmill_pool_discards_total", Help: "Ready disks that were given up.",
		}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "blockmill_pool_refill_seconds", Help: "Time to make a ready disk.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 10),
		}),
		waits: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "blockmill_pool_wait_seconds", Help: "Time that creates waited for a refill.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 10),
		}),
		reg: reg,
	}
	reg.MustRegister(m.creates, m.refills, m.discards, m.seconds, m.waits)
	for _, r := range []string{"hit", "miss", "wait"} {
		m.creates.WithLabelValues(r)
	}
	return m
}

// count notes an event.
func (m *Metrics) count(kind EventKind, took time.Duration) {
	switch kind {
	case Hit, Miss:
		m.creates.WithLabelValues(string(kind)).Inc()
	case Waited:
		m.creates.WithLabelValues("wait").Inc()
		m.waits.Observe(took.Seconds())
	case Refilled:
		m.refills.WithLabelValues("made").Inc()
		m.seconds.Observe(took.Seconds())
	case Failed:
		m.refills.WithLabelValues("failed").Inc()
	case Discarded:
		m.discards.Inc()
	}
}

// watch has the state of a stock's pools collected.
func (m *Metrics) watch(s *Stock) { m.reg.MustRegister(&collector{s}) }

// collector tells the state of all pools together.
type collector struct{ stock *Stock }

// The pools of a node are many and come and go, so they have no labels: what there
// is of each is added up, and the worst load stands for all.
var (
	poolsDesc   = poolDesc("pools", "Images that disks are kept ready of.")
	readyDesc   = poolDesc("ready_disks", "Disks that are ready.")
	targetDesc  = poolDesc("target_disks", "Disks that should be ready.")
	waitingDesc = poolDesc("waiting_creates", "Creates that wait for a refill.")
	bytesDesc   = poolDesc("ready_bytes", "Bytes that ready disks hold.")
	loadDesc    = poolDesc("refill_load", "Share of its time that refilling needs to keep up with the demand of late, of the pool that needs most; above 1 it cannot.")
)

func poolDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("blockmill_pool_"+name, help, nil, nil)
}

func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{poolsDesc, readyDesc, targetDesc, waitingDesc, bytesDesc, loadDesc} {
		ch <- d
	}
}

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	var sum struct{ pools, ready, target, waiting, bytes, load float64 }
	for _, st := range c.stock.Stats() {
		sum.pools++
		sum.ready += float64(st.Ready)
		sum.target += float64(st.Target)
		sum.waiting += float64(st.Waiting)
		sum.bytes += float64(st.Bytes)
		sum.load = max(sum.load, st.Load)
	}
	for _, g := range []struct {
		desc  *prometheus.Desc
		value float64
	}{
		{poolsDesc, sum.pools},
		{readyDesc, sum.ready},
		{targetDesc, sum.target},
		{waitingDesc, sum.waiting},
		{bytesDesc, sum.bytes},
		{loadDesc, sum.load},
	} {
		ch <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, g.value)
	}
}
