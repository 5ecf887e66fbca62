package lazy_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/blockmill/blockmill/pool/lazy"
)

// TestMetrics tells what a guest had to wait for from what came by itself.
func TestMetrics(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	f := newFixture(t, 4<<20, 4<<20)
	f.metrics = lazy.NewMetrics(reg)
	f.open(t)
	if _, err := f.ReadAt(make([]byte, 3<<10), 1<<20); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(make([]byte, 1<<20), 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Hydrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	hydrated := f.Stats().Hydrated
	if hydrated <= 0 || hydrated > 3<<20 {
		t.Errorf("%d bytes hydrated, of 3 MiB and holes", hydrated)
	}
	want := strings.NewReplacer("DEMAND", "3072", "HYDRATED", prom(hydrated)).Replace(`
# HELP blockmill_lazy_base_read_bytes_total Bytes that lazy disks took from the store, on demand of a guest or to stand alone (hydration).
# TYPE blockmill_lazy_base_read_bytes_total counter
blockmill_lazy_base_read_bytes_total{cause="demand"} DEMAND
blockmill_lazy_base_read_bytes_total{cause="hydration"} HYDRATED
`)
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
	problems, err := testutil.GatherAndLint(reg)
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
}

// prom is a number as Prometheus writes it.
func prom(n int64) string { return strconv.FormatFloat(float64(n), 'g', -1, 64) }
