package pool_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/blockmill/blockmill/pool"
)

// The power goes while disks are made, claimed, written, grown, stored and
// deleted, and lazy ones come over: what was acknowledged is there, once, with
// its bytes, and nothing else is. It goes several times in each of two runs, the
// second of which begins with what the first left. BLOCKMILL_POWER_SECONDS says
// for how long to go on, on each file system.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	seconds := 0
	if s := os.Getenv("BLOCKMILL_POWER_SECONDS"); s != "" {
		var err error
		if seconds, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	for _, kind := range powerKinds {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			p := &powerRun{t: t, rig: newPowerRig(t, kind), log: newPowerLog(), seed: rand.Uint64()}
			t.Logf("seed %d", p.seed)
			p.rng = rand.New(rand.NewPCG(p.seed, 1))
			p.device = p.rig.device()
			end := time.Now().Add(time.Duration(seconds) * time.Second)
			for round := 0; round < 2 || time.Now().Before(end); round++ {
				p.round()
				if t.Failed() {
					return
				}
			}
			t.Logf("%d cuts, %d acts", p.cuts, p.acts)
		})
	}
}

// powerRun is one device, over many cuts.
type powerRun struct {
	t          *testing.T
	rig        *powerRig
	seed       uint64
	rng        *rand.Rand
	device     string
	log        *powerLog // of what is on the device
	image      pool.ImageID
	cuts, acts int
}

// powerCut is a device after a cut.
type powerCut struct {
	device string
	fates  map[string]fate
}

// round works on the device, cuts the power a few times, and looks at what each
// cut left; the next round goes on from the last one.
func (p *powerRun) round() {
	p.t.Helper()
	cuts := p.work()
	for i, c := range cuts {
		dir, unmount := p.rig.mount(c.device)
		found := checkPower(p.t, dir, c.fates)
		unmount()
		if p.cuts++; p.t.Failed() {
			p.t.Logf("at cut %d", p.cuts)
			return
		}
		if i < len(cuts)-1 {
			p.remove(c.device)
			continue
		}
		p.remove(p.device)
		p.device, p.log = c.device, found
	}
}

func (p *powerRun) remove(file string) {
	if err := os.Remove(file); err != nil {
		p.t.Fatal(err)
	}
}

// work has workers use the node of the device, and cuts the power meanwhile.
func (p *powerRun) work() []powerCut {
	dir, unmount := p.rig.mount(p.device)
	const rate = 4 << 20
	n, err := openPower(p.t.Context(), dir, rate, complaints{p.t})
	if err != nil {
		p.t.Fatal(err)
	}
	workers := p.workers(n)
	if p.t.Failed() {
		return nil
	}
	stop := make(chan struct{})
	errs := make([]error, len(workers))
	var wg sync.WaitGroup
	for i, w := range workers {
		step := w.step
		if i == 0 {
			step = w.imageLife
		}
		wg.Go(func() { errs[i] = w.run(p.t.Context(), stop, step) })
	}
	var cuts []powerCut
	for range 2 {
		cuts = append(cuts, p.cut(dir))
	}
	close(stop)
	wg.Wait()
	p.acts += p.log.begun
	if err := errors.Join(append(errs, n.Close())...); err != nil {
		p.t.Error(err)
	}
	unmount()
	return cuts
}

// workers share what there is on the device, and have an image.
func (p *powerRun) workers(n *powerNode) []*powerWorker {
	workers := make([]*powerWorker, 4)
	for i := range workers {
		workers[i] = &powerWorker{node: n, log: p.log, rng: rand.New(rand.NewPCG(p.rng.Uint64(), 0)), image: p.image}
	}
	if p.image == "" {
		var err error
		if p.image, err = workers[0].makeImage(p.t.Context(), 0, true); err == nil {
			err = setPowerPool(p.t.Context(), n, p.image)
		}
		if err != nil {
			p.t.Error(err)
		}
		for _, w := range workers {
			w.image = p.image
		}
	}
	adopt(n, workers)
	return workers
}

// cut waits until some work was done, and cuts the power at a random moment, at
// times while the file systems write what they hold.
func (p *powerRun) cut(dir string) powerCut {
	for range 5 + p.rng.IntN(40) {
		select {
		case <-p.log.notify:
		case <-time.After(10 * time.Second): // the workers have failed
		}
	}
	<-time.After(time.Duration(p.rng.IntN(5000)) * time.Microsecond)
	var wg sync.WaitGroup
	if p.rng.IntN(2) == 0 {
		wg.Go(func() { syncAll(p.t, filepath.Join(dir, "disks")) })
	}
	var c powerCut
	c.fates = p.log.freeze(func() { c.device = p.rig.freeze(p.device) })
	wg.Wait()
	return c
}

// syncAll has a file system write all that it holds.
func syncAll(t *testing.T, dir string) {
	f, err := os.Open(dir)
	if err == nil {
		err = errors.Join(unix.Syncfs(int(f.Fd())), f.Close())
	}
	if err != nil {
		t.Error(err)
	}
}
