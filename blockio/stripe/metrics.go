package stripe

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are a volume's metrics. What the volume counts is as of each
// collection; how safe its objects are is as of the last Refresh.
//
// All methods are safe for concurrent use.
type Metrics struct {
	volume *Volume
	state  atomic.Pointer[State] // nil before the first Refresh
}

var _ prometheus.Collector = (*Metrics)(nil)

// NewMetrics registers the metrics of a volume.
func NewMetrics(reg prometheus.Registerer, v *Volume) (*Metrics, error) {
	m := &Metrics{volume: v}
	if err := reg.Register(m); err != nil {
		return nil, fmt.Errorf("register metrics of stripe: %w", err)
	}
	return m, nil
}

// Refresh finds out how many more losses the objects would survive. It lists
// all objects of all shards: for every few minutes, not for every collection.
func (m *Metrics) Refresh(ctx context.Context) error {
	s, err := m.volume.State(ctx)
	if err != nil {
		return err
	}
	m.state.Store(&s)
	return nil
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("blockmill_stripe_"+name, help, labels, nil)
}

var (
	shardStateDesc = describe("shard_state", "1 for the state that a shard's directory is in.", "shard", "directory", "state")
	shardFailDesc  = describe("shard_failures_total", "Calls to a shard's directory that failed.", "shard", "directory")
	riskBytes      = describe("surviving_bytes", "Bytes of objects that would survive the loss of so many more shards, and no more.", "losses")
	riskObjects    = describe("surviving_objects", "Objects that would survive the loss of so many more shards, and no more.", "losses")
	lostBytes      = describe("unreadable_bytes", "Bytes of objects of which too few shards are there.")
	lostObjects    = describe("unreadable_objects", "Objects of which too few shards are there.")
)

// counted are the metrics that Stats has.
var counted = []struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*Stats) int64
}{
	{describe("written_bytes_total", "Bytes of objects written."), prometheus.CounterValue, func(s *Stats) int64 { return s.BytesWritten }},
	{describe("read_bytes_total", "Bytes of objects read."), prometheus.CounterValue, func(s *Stats) int64 { return s.BytesRead }},
	{describe("degraded_writes_total", "Objects that not all shards took."), prometheus.CounterValue, func(s *Stats) int64 { return s.DegradedWrites }},
	{describe("repaired_reads_total", "Units, or parts of them, that reads rebuilt from parity."), prometheus.CounterValue, func(s *Stats) int64 { return s.RebuiltReads }},
	{describe("checksum_errors_total", "Units with other bytes than were written."), prometheus.CounterValue, func(s *Stats) int64 { return s.ChecksumErrors }},
	{describe("healed_shards_total", "Shards of objects that were written anew."), prometheus.CounterValue, func(s *Stats) int64 { return s.Healed }},
	{describe("removed_leftovers_total", "Shards of no object that were removed."), prometheus.CounterValue, func(s *Stats) int64 { return s.Removed }},
	{describe("scrubbed_bytes_total", "Bytes of shards that scrubs checked."), prometheus.CounterValue, func(s *Stats) int64 { return s.ScrubbedBytes }},
	{describe("heal_queue_objects", "Objects that wait for healing."), prometheus.GaugeValue, func(s *Stats) int64 { return s.Queued }},
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{shardStateDesc, shardFailDesc, riskBytes, riskObjects, lostBytes, lostObjects} {
		ch <- d
	}
	for _, c := range counted {
		ch <- c.desc
	}
}

// Collect implements prometheus.Collector. It asks no shard.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	stats := m.volume.Stats()
	for _, c := range counted {
		ch <- prometheus.MustNewConstMetric(c.desc, c.kind, float64(c.value(&stats)))
	}
	for _, s := range m.volume.Shards() {
		shard := strconv.Itoa(s.Index)
		ch <- prometheus.MustNewConstMetric(shardFailDesc, prometheus.CounterValue, float64(s.Failures), shard, s.Label)
		for i, name := range statusNames {
			in := 0.0
			if s.Status == ShardStatus(i) {
				in = 1
			}
			ch <- prometheus.MustNewConstMetric(shardStateDesc, prometheus.GaugeValue, in, shard, s.Label, name)
		}
	}
	if s := m.state.Load(); s != nil {
		s.collect(ch)
	}
}

func (s *State) collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	for losses, r := range s.Risks {
		gauge(riskBytes, r.Bytes, strconv.Itoa(losses))
		gauge(riskObjects, r.Objects, strconv.Itoa(losses))
	}
	gauge(lostBytes, s.Unreadable.Bytes)
	gauge(lostObjects, s.Unreadable.Objects)
}
