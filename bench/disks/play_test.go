package disks_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/blockmill/blockmill/bench/disks"
	"github.com/blockmill/blockmill/pool/ready"
)

// playRefill is how long a refill takes in the demands that are played, at their
// own speed.
const playRefill = 2 * time.Second

// ticked is the rule of a cloud whose scheduler looks after one disk a minute; with
// the speed of a demand its minutes are shorter too.
const ticked = "fixed, 1, a tick a minute"

// play is a demand, so many times as fast as it is: refills are too.
type play struct {
	demand int
	speed  float64
}

// TestPlay plays demands against nodes, by the real clock, and prints what their
// pools came to, beside what a simulation of the same creates says.
// BLOCKMILL_PLAY is for how long to play.
func TestPlay(t *testing.T) {
	length, err := time.ParseDuration(os.Getenv("BLOCKMILL_PLAY"))
	if err != nil {
		t.Skip("BLOCKMILL_PLAY is no duration")
	}
	for _, p := range []play{{0, 1}, {0, 10}, {1, 10}, {2, 30}} {
		for _, k := range []struct {
			name     string
			capacity int // 0 is the pools' rule
		}{{"pools' rule", 0}, {"fixed, 1", 1}, {"fixed, 5", 5}, {ticked, 1}} {
			if p.speed == 1 && k.capacity > 0 && k.name != ticked {
				continue
			}
			t.Run(fmt.Sprintf("%d at %g, %s", p.demand, p.speed, k.name), func(t *testing.T) {
				t.Parallel()
				p.run(t, length, k.name, k.capacity)
			})
		}
	}
}

func (p play) run(t *testing.T, length time.Duration, name string, capacity int) {
	demand := disks.Demands()[p.demand]
	creates := demand.Part(length, p.speed)
	from := creates[0].Add(length / 4)
	refill := time.Duration(float64(playRefill) / p.speed)
	place := openPlay(t, refill, ready.Settings{Capacity: capacity, IdleLimit: time.Duration(float64(time.Hour) / p.speed)})
	tick := disks.Fixed{Capacity: 1, Every: time.Duration(float64(time.Minute) / p.speed)}
	course := disks.Course{Creates: creates, From: from, Life: 2 * time.Second}
	var o disks.Played
	var err error
	if name == ticked {
		o, err = place.PlayTicked(t.Context(), tick, refill, course)
	} else {
		o, err = place.Play(t.Context(), course)
	}
	if err != nil {
		t.Fatal(err)
	}
	say := func(how, name string, o disks.Outcome, more string) {
		t.Logf("%-47s %2g times as fast  %-9s %-26s %4d of %4d hits, %5.1f %%  ready %5.2f (most %2d)%s",
			demand.Name, p.speed, how, name, o.Hits, o.Creates, 100*o.HitRate(), o.Held, o.Most, more)
	}
	say("played", name, o.Outcome, fmt.Sprintf(", %.0f MiB, %d waited, refill %v, create p50 %v p99 %v", o.Bytes/(1<<20), o.Waits,
		o.Refill.Round(time.Millisecond), o.Latency.Quantile(0.5).Round(100*time.Microsecond), o.Latency.Quantile(0.99).Round(100*time.Microsecond)))
	var rule disks.Keeper = disks.Fixed{Capacity: capacity}
	switch {
	case name == ticked:
		rule = tick
	case capacity == 0:
		rule = disks.NewDemanded(o.Refill)
	}
	say("simulated", name, disks.Simulate(rule, creates, o.Refill, from), "")
}

// openPlay opens a place whose ready disks take about so long to make.
func openPlay(t *testing.T, refill time.Duration, s ready.Settings) *disks.Place {
	const size = 8 << 20
	p := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{}).Read(p)
	image := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(image, p, 0o600); err != nil {
		t.Fatal(err)
	}
	place, err := disks.Open(t.Context(), t.TempDir(), "ext4", image)
	t.Cleanup(func() {
		if err := place.Close(); err != nil {
			t.Error(err)
		}
	})
	if err == nil {
		place.FillRate = int64(size * float64(time.Second) / float64(refill))
		err = place.Import(t.Context())
	}
	if err == nil {
		_, err = place.Node.SetPool(t.Context(), place.Image.ID, s)
	}
	if err != nil {
		t.Fatal(err)
	}
	return place
}
