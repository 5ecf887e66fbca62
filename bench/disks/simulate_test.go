package disks_test

import (
	"os"
	"testing"
	"time"

	"github.com/blockmill/blockmill/bench/disks"
)

// The rule of pools finds disks ready for nearly all creates of a steady demand
// and of batches, with full copies; what it holds is printed beside others.
func TestSimulate(t *testing.T) {
	t.Parallel()
	const size = 1.16 // GiB of a full copy of the Debian image
	want := []float64{0.95, 0.80, 0}
	refills := []time.Duration{2 * time.Second}
	if os.Getenv("BLOCKMILL_SIMULATE") == "all" {
		refills = []time.Duration{20 * time.Millisecond, 2 * time.Second, 5 * time.Second}
	}
	for _, refill := range refills {
		for i, d := range disks.Demands() {
			from := d.Creates[0].Add(24 * time.Hour)
			for _, k := range []struct {
				name   string
				keeper disks.Keeper
			}{
				{"pools' rule", disks.NewDemanded(refill)},
				{"fixed, 1", disks.Fixed{Capacity: 1}},
				{"fixed, 5", disks.Fixed{Capacity: 5}},
				{"fixed, 1, a tick a minute", disks.Fixed{Capacity: 1, Every: time.Minute}},
			} {
				o := disks.Simulate(k.keeper, d.Creates, refill, from)
				t.Logf("refill %-5v  %-47s %-26s hits %5.1f %%  ready %5.2f (most %2d), %5.1f GiB",
					refill, d.Name, k.name, 100*o.HitRate(), o.Held, o.Most, o.Held*size)
				if k.name == "pools' rule" && o.HitRate() < want[i] {
					t.Errorf("%s: hit rate %.3f, want %.2f", d.Name, o.HitRate(), want[i])
				}
			}
		}
	}
}
