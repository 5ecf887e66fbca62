package ready_test

import (
	"testing"
	"time"

	"github.com/blockmill/blockmill/pool/ready"
)

func TestDemand(t *testing.T) {
	t.Parallel()
	start := time.Unix(0, 0)
	for _, tt := range []struct {
		name     string
		batch    int
		every    time.Duration
		refill   time.Duration
		parallel int
		want     int
	}{
		{"one at a time", 1, 10 * time.Second, time.Second, 1, 2},
		{"refills overlap creates", 1, 10 * time.Second, 9 * time.Second, 1, 2},
		{"batches", 10, 5 * time.Minute, time.Second, 1, 11},
		{"batches, refilled two at a time", 10, 5 * time.Minute, time.Second, 2, 11},
		{"slow refill of pairs", 2, 30 * time.Second, 20 * time.Second, 2, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := ready.NewDemand(ready.Rule{Parallel: tt.parallel, Refill: tt.refill})
			now := start
			for range 50 {
				for range tt.batch {
					d.Arrive(now)
				}
				now = now.Add(tt.every)
			}
			if got := d.Target(now); got != tt.want {
				t.Errorf("target %d, want %d", got, tt.want)
			}
			if got := d.Target(now.Add(25 * time.Hour)); got != 0 {
				t.Errorf("target %d after a day, want 0", got)
			}
		})
	}
}

func TestDemandLoad(t *testing.T) {
	t.Parallel()
	d := ready.NewDemand(ready.Rule{Refill: 10 * time.Second})
	now := time.Unix(0, 0)
	for range 100 {
		now = now.Add(5 * time.Second)
		d.Arrive(now)
	}
	if load := d.Load(now); load < 1.9 || load > 2.2 {
		t.Errorf("load %.2f, want about 2", load)
	}
	if load := d.Load(now.Add(time.Hour)); load > 0.1 {
		t.Errorf("load %.2f an hour later", load)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for _, s := range []ready.Settings{{}, {Min: 2, Max: 2}, {Max: -1}, {Capacity: 5}, {Capacity: 5, Max: 5}, {Min: 100}} {
		if err := s.Validate(); err != nil {
			t.Errorf("%+v: %v", s, err)
		}
	}
	for _, s := range []ready.Settings{{Min: -1}, {Max: -2}, {Min: 3, Max: 2}, {Capacity: 6, Max: 5}, {Max: -1, Min: 1}, {Min: 1 << 20}} {
		if err := s.Validate(); err == nil {
			t.Errorf("%+v is taken", s)
		}
	}
}
