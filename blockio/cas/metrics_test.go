package cas_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/cas"
)

// gathered is the values of a registry's series, by name and labels.
func gathered(t *testing.T, reg prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			key := f.GetName()
			for _, l := range m.Label {
				key += " " + l.GetValue()
			}
			got[key] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return got
}

func TestMetrics(t *testing.T) {
	ctx := t.Context()
	s := newStore(t, testOptions(blockiotest.NewMemVolume(), ""))
	reg := prometheus.NewPedanticRegistry()
	m, err := cas.NewMetrics(reg, s)
	if err != nil {
		t.Fatal(err)
	}
	p := guest(3<<20, 1)
	first := mustPut(t, s, "a", p)
	again := mustPut(t, s, "b", p)
	mustPut(t, s, "c", guest(2<<20, 2))
	if err := s.RemoveRecord(ctx, "image", "c"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.GC(ctx, cas.GCOptions{}); err != nil {
		t.Fatal(err)
	}
	wantImage(t, s, first.ID, p)
	if _, early := gathered(t, reg)["blockmill_store_images"]; early {
		t.Error("what the store holds is there before the first refresh")
	}
	if err := m.Refresh(ctx); err != nil {
		t.Fatal(err)
	}
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("metric %s: %s", p.Metric, p.Text)
	}
	got := gathered(t, reg)
	for key, want := range map[string]float64{
		"blockmill_store_imported_images_total":            3,
		"blockmill_store_imported_bytes_total":             8 << 20,
		"blockmill_store_imported_chunks_total known":      float64(again.Chunks),
		"blockmill_store_imported_chunk_bytes_total known": float64(again.DataBytes),
		"blockmill_store_read_chunks_total":                float64(first.Chunks),
		"blockmill_store_read_bytes_total":                 float64(first.DataBytes),
		"blockmill_store_gc_runs_total done":               1,
		"blockmill_store_gc_removed_manifests_total":       1,
		"blockmill_store_images":                           2,
		"blockmill_store_logical_bytes":                    6 << 20,
		"blockmill_store_unique_bytes":                     float64(first.DataBytes),
		"blockmill_store_chunks":                           float64(first.Chunks),
		"blockmill_store_open_sessions":                    0,
	} {
		if have, ok := got[key]; !ok || have != want {
			t.Errorf("%s is %v (%t), expected %v", key, have, ok, want)
		}
	}
	if got["blockmill_store_gc_last_success_timestamp_seconds"] == 0 {
		t.Error("no time of the last collection")
	}
}
