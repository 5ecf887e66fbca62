package stripe_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/stripe"
)

func TestMetrics(t *testing.T) {
	s := newSet(t, 2, 1)
	v := s.open(t)
	const rows = 3
	put(t, v, "seg/a", pattern(rows*2*unit, 1))
	if err := v.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	damaged := s.without(1)
	v = damaged.open(t)
	reg := prometheus.NewPedanticRegistry()
	m, err := stripe.NewMetrics(reg, v)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stripe.NewMetrics(reg, v); err == nil {
		t.Error("the same metrics can be registered twice")
	}
	if n, err := testutil.GatherAndCount(reg, "blockmill_stripe_surviving_bytes"); err != nil || n != 0 {
		t.Errorf("%d series of bytes before the first refresh, error %v", n, err)
	}
	if err := m.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	state, err := v.State(t.Context())
	if err != nil || state.Risks[0].Bytes < rows*2*unit {
		t.Fatalf("risks %v, error %v", state.Risks, err)
	}
	want(t, v, "seg/a", pattern(rows*2*unit, 1))
	lintMetrics(t, reg)
	expected := `
# HELP blockmill_stripe_repaired_reads_total Units, or parts of them, that reads rebuilt from parity.
# TYPE blockmill_stripe_repaired_reads_total counter
blockmill_stripe_repaired_reads_total 3
# HELP blockmill_stripe_shard_state 1 for the state that a shard's directory is in.
# TYPE blockmill_stripe_shard_state gauge
` + shardStates("missing", "ok", 1) + `
# HELP blockmill_stripe_surviving_bytes Bytes of objects that would survive the loss of so many more shards, and no more.
# TYPE blockmill_stripe_surviving_bytes gauge
blockmill_stripe_surviving_bytes{losses="0"} ` + fmt.Sprint(state.Risks[0].Bytes) + `
blockmill_stripe_surviving_bytes{losses="1"} 0
`
	names := []string{"blockmill_stripe_repaired_reads_total", "blockmill_stripe_shard_state", "blockmill_stripe_surviving_bytes"}
	if err := testutil.GatherAndCompare(reg, strings.NewReader(expected), names...); err != nil {
		t.Error(err)
	}
}

// A shard that fails calls is counted and shown.
func TestMetricsOfFailingShard(t *testing.T) {
	s := newSet(t, 2, 2)
	v := s.open(t)
	reg := prometheus.NewPedanticRegistry()
	if _, err := stripe.NewMetrics(reg, v); err != nil {
		t.Fatal(err)
	}
	s.shards[0].Inject(blockiotest.Fault{Ops: blockiotest.OpWrite, N: 1, Sticky: true})
	put(t, v, "seg/a", pattern(unit, 1))
	if v.Shards()[0].Failures == 0 {
		t.Fatal("no failure was counted")
	}
	got := map[string]float64{}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			key := f.GetName()
			for _, l := range m.Label {
				key += " " + l.GetValue()
			}
			got[key] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	for key, want := range map[string]float64{
		"blockmill_stripe_shard_failures_total disk0 0": float64(v.Shards()[0].Failures),
		"blockmill_stripe_shard_failures_total disk1 1": 0,
		"blockmill_stripe_shard_state disk0 0 failed":   1,
		"blockmill_stripe_degraded_writes_total":        1,
		"blockmill_stripe_heal_queue_objects":           1,
		"blockmill_stripe_written_bytes_total":          unit,
	} {
		if got[key] != want {
			t.Errorf("%s is %v, expected %v", key, got[key], want)
		}
	}
}

func lintMetrics(t *testing.T, reg prometheus.Gatherer) {
	t.Helper()
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("metric %s: %s", p.Metric, p.Text)
	}
}

// shardStates is the series of three shards, one of which is in another state.
func shardStates(odd, others string, which int) string {
	var b strings.Builder
	for i := range 3 {
		in := others
		if i == which {
			in = odd
		}
		for _, state := range []string{"empty", "failed", "lagging", "missing", "ok", "rebuilding"} {
			value := " 0\n"
			if state == in {
				value = " 1\n"
			}
			b.WriteString(`blockmill_stripe_shard_state{directory="` + labels(3)[i] + `",shard="` + string(rune('0'+i)) + `",state="` + state + `"}` + value)
		}
	}
	return strings.TrimSpace(b.String())
}
