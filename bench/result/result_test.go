package result_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/blockmill/blockmill/bench/result"
	"github.com/google/go-cmp/cmp"
)

func TestFormat(t *testing.T) {
	tests := []struct {
		metric result.Metric
		value  float64
		want   string
	}{
		{result.Total, 0, "0 µs"},
		{result.Total, 0.000012, "12 µs"},
		{result.Total, 0.0009996, "1 ms"},
		{result.Total, 0.9996, "1.00 s"},
		{result.Total, 0.4567, "457 ms"},
		{result.Total, 1.416, "1.42 s"},
		{result.Total, 31.96, "32.0 s"},
		{result.Total, 612.3, "612 s"},
		{result.MaxRSS, 512, "512 B"},
		{result.MaxRSS, 1000, "0.977 KiB"},
		{result.MaxRSS, 83 << 20, "83 MiB"},
		{result.Output, 1.19 * (1 << 30), "1.19 GiB"},
		{result.Output, 372.4 * (1 << 20), "372 MiB"},
		{result.NewChunks, 1234, "1234"},
		{"", 2.3456, "2.35×"},
	}
	for _, tt := range tests {
		if got := tt.metric.Format(tt.value); got != tt.want {
			t.Errorf("%q.Format(%v) = %q, want %q", tt.metric, tt.value, got, tt.want)
		}
	}
}

func TestSelect(t *testing.T) {
	sample := func(by string, cache result.Cache, v float64, failure string) result.Sample {
		return result.Sample{Contender: by, Step: "s", Cache: cache, Error: failure, Values: map[result.Metric]float64{result.Total: v}}
	}
	c := result.Case{Samples: []result.Sample{
		sample("a", result.Warm, 1, ""), sample("b", result.Warm, 2, ""), sample("a", result.Cold, 3, ""),
		sample("a", result.Warm, 4, "wrong"), sample("a", result.Warm, 5, ""),
	}}
	if diff := cmp.Diff([]float64{1, 5}, c.Select("a", "s", result.Warm, result.Total)); diff != "" {
		t.Errorf("Select (-want +got):\n%s", diff)
	}
	if xs := c.Select("a", "s", result.Warm, result.CPU); xs != nil {
		t.Errorf("Select of a metric that was not measured = %v", xs)
	}
	if failed := c.Failures(); len(failed) != 1 || failed[0].Values[result.Total] != 4 {
		t.Errorf("Failures = %v", failed)
	}
}

func TestSaveAndLoad(t *testing.T) {
	value := 2.5
	want := &result.Run{
		Schema: result.Schema, Started: time.Unix(1e9, 0).UTC(), Finished: time.Unix(2e9, 0).UTC(), Rounds: 3,
		Cases: []result.Case{{Name: "a/b", Goals: []result.Goal{{Owed: 2, Value: &value, Met: true}}}},
	}
	path := filepath.Join(t.TempDir(), "results.json")
	if err := want.Save(path); err != nil {
		t.Fatal(err)
	}
	got, err := result.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("loaded run (-want +got):\n%s", diff)
	}

	for text, want := range map[string]string{"{": "unexpected end", `{"schema": 99}`: "schema 99, want 1"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := result.Load(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Load of %q = %v, want %q in it", text, err, want)
		}
	}
}

func TestJoin(t *testing.T) {
	run := func(started int64, names ...string) *result.Run {
		r := &result.Run{Started: time.Unix(started, 0), Finished: time.Unix(started+10, 0), Programs: []result.Program{{Name: "p", Version: "1"}}}
		for _, name := range names {
			r.Cases = append(r.Cases, result.Case{Name: name, Title: names[0]})
		}
		return r
	}
	first, second := run(100, "a", "b"), run(50, "c", "b")
	joined, err := result.Join(nil, first)
	if err != nil {
		t.Fatal(err)
	}
	if joined, err = result.Join(joined, second); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range joined.Cases {
		got = append(got, c.Name+" of "+c.Title)
	}
	if diff := cmp.Diff([]string{"a of a", "b of c", "c of c"}, got); diff != "" {
		t.Errorf("cases (-want +got):\n%s", diff)
	}
	if joined.Started.Unix() != 50 || joined.Finished.Unix() != 110 || len(joined.Programs) != 1 {
		t.Errorf("joined = %v to %v, programs %v", joined.Started, joined.Finished, joined.Programs)
	}
	if len(first.Cases) != 2 || first.Cases[1].Title != "a" {
		t.Errorf("Join changed its argument: %v", first.Cases)
	}
	second.Machine.Cores = 64
	if _, err := result.Join(first, second); !errors.Is(err, result.ErrOtherMachine) {
		t.Errorf("Join of other machines = %v", err)
	}
}
