package cas

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are a store's metrics. What the store counts is as of each collection;
// what it holds is as of the last Refresh.
//
// All methods are safe for concurrent use.
type Metrics struct {
	store *Store
	stat  atomic.Pointer[Stat] // nil before the first Refresh
}

var _ prometheus.Collector = (*Metrics)(nil)

// NewMetrics registers the metrics of a store.
func NewMetrics(reg prometheus.Registerer, s *Store) (*Metrics, error) {
	m := &Metrics{store: s}
	if err := reg.Register(m); err != nil {
		return nil, fmt.Errorf("register metrics of store: %w", err)
	}
	return m, nil
}

// Refresh counts what the store holds. It reads every manifest: for every few
// minutes, not for every collection.
func (m *Metrics) Refresh(ctx context.Context) error {
	st, err := m.store.Stat(ctx)
	if err != nil {
		return err
	}
	m.stat.Store(&st)
	return nil
}

// series is one time series: a value of T.
type series[T any] struct {
	desc   *prometheus.Desc
	kind   prometheus.ValueType
	value  func(*T) int64
	labels []string
}

func (s *series[T]) collect(ch chan<- prometheus.Metric, of *T) {
	ch <- prometheus.MustNewConstMetric(s.desc, s.kind, float64(s.value(of)), s.labels...)
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("blockmill_store_"+name, help, labels, nil)
}

const (
	counter = prometheus.CounterValue
	gauge   = prometheus.GaugeValue
)

var (
	importedChunks = describe("imported_chunks_total", "Chunks of imported images, by whether the store had them (known) or not (new).", "found")
	importedBytes  = describe("imported_chunk_bytes_total", "Bytes of the chunks of imported images, by whether the store had them (known) or not (new).", "found")
	gcRuns         = describe("gc_runs_total", "Garbage collections, by whether they came to their end.", "result")
)

// counted are the series of what a store did.
var counted = []series[Counts]{
	{describe("imported_images_total", "Images that became durable."), counter, func(c *Counts) int64 { return c.ImagesCommitted }, nil},
	{describe("imported_bytes_total", "Guest bytes given to imports, zeros included."), counter, func(c *Counts) int64 { return c.PutBytes }, nil},
	{importedChunks, counter, func(c *Counts) int64 { return c.NewChunks }, []string{"new"}},
	{importedChunks, counter, func(c *Counts) int64 { return c.KnownChunks }, []string{"known"}},
	{importedBytes, counter, func(c *Counts) int64 { return c.NewBytes }, []string{"new"}},
	{importedBytes, counter, func(c *Counts) int64 { return c.KnownBytes }, []string{"known"}},
	{describe("imported_stored_bytes_total", "Bytes that the new chunks of imports take."), counter, func(c *Counts) int64 { return c.NewStoredBytes }, nil},
	{describe("read_chunks_total", "Chunks read and checked."), counter, func(c *Counts) int64 { return c.ReadChunks }, nil},
	{describe("read_bytes_total", "Guest bytes read out of chunks."), counter, func(c *Counts) int64 { return c.ReadBytes }, nil},
	{gcRuns, counter, func(c *Counts) int64 { return c.GCRuns }, []string{"done"}},
	{gcRuns, counter, func(c *Counts) int64 { return c.GCFailures }, []string{"failed"}},
	{describe("gc_removed_manifests_total", "Manifests that garbage collection removed."), counter, func(c *Counts) int64 { return c.GC.Manifests }, nil},
	{describe("gc_removed_segments_total", "Segments that garbage collection removed."), counter, func(c *Counts) int64 { return c.GC.Segments }, nil},
	{describe("gc_moved_chunks_total", "Chunks that garbage collection moved to new segments."), counter, func(c *Counts) int64 { return c.GC.MovedChunks }, nil},
	{describe("gc_moved_bytes_total", "Bytes that the chunks take that garbage collection moved."), counter, func(c *Counts) int64 { return c.GC.MovedBytes }, nil},
	{describe("gc_reclaimed_bytes", "Bytes that garbage collection gave back since the start, less what moved chunks take."), gauge, func(c *Counts) int64 { return c.GC.ReclaimedBytes }, nil},
	{describe("segments", "Segments that the store has."), gauge, func(c *Counts) int64 { return c.Segments }, nil},
	{describe("segment_bytes", "Bytes of the segments."), gauge, func(c *Counts) int64 { return c.SegmentBytes }, nil},
	{describe("open_sessions", "Sessions that write to the store."), gauge, func(c *Counts) int64 { return c.OpenSessions }, nil},
	{describe("open_images", "Images open for reading."), gauge, func(c *Counts) int64 { return c.OpenImages }, nil},
}

// held are the series of what a store holds.
var held = []series[Stat]{
	{describe("images", "Images that records or sessions hold."), gauge, func(s *Stat) int64 { return int64(len(s.Images)) }, nil},
	{describe("logical_bytes", "Virtual sizes of all images."), gauge, func(s *Stat) int64 { return s.LogicalBytes }, nil},
	{describe("data_bytes", "Bytes of all images that are not zero."), gauge, func(s *Stat) int64 { return s.DataBytes }, nil},
	{describe("unique_bytes", "Bytes that the chunks of all images hold, each counted once."), gauge, func(s *Stat) int64 { return s.UniqueBytes }, nil},
	{describe("stored_bytes", "Bytes that the chunks of all images take, each counted once."), gauge, func(s *Stat) int64 { return s.StoredBytes }, nil},
	{describe("chunks", "Chunks of all images, each counted once."), gauge, func(s *Stat) int64 { return s.Chunks }, nil},
	{describe("manifest_bytes", "Bytes of the manifests of all images."), gauge, func(s *Stat) int64 { return s.ManifestBytes }, nil},
	{describe("reclaimable_bytes", "Bytes of segments that no image needs."), gauge, func(s *Stat) int64 { return s.ReclaimableBytes }, nil},
}

var lastGC = describe("gc_last_success_timestamp_seconds", "When the last garbage collection came to its end.")

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- lastGC
	for _, s := range counted {
		ch <- s.desc
	}
	for _, s := range held {
		ch <- s.desc
	}
}

// Collect implements prometheus.Collector. It reads nothing of the volume.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	counts := m.store.Counts()
	for _, s := range counted {
		s.collect(ch, &counts)
	}
	if !counts.LastGC.IsZero() {
		ch <- prometheus.MustNewConstMetric(lastGC, gauge, float64(counts.LastGC.Unix()))
	}
	if st := m.stat.Load(); st != nil {
		for _, s := range held {
			s.collect(ch, st)
		}
	}
}
