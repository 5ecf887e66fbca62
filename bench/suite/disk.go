package suite

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"slices"

	"github.com/blockmill/blockmill/bench"
	"github.com/blockmill/blockmill/bench/disks"
	"github.com/blockmill/blockmill/bench/measure"
	"github.com/blockmill/blockmill/bench/result"
)

const (
	diskImage  = "$FIXTURE/disk-64M.raw"
	middleTime = result.Metric("p50_seconds")

	hitStep, togetherStep, missStep = "ready, 200 in a row", "ready, 50 at once", "not ready, 50 in a row"
	apiHitStep, apiTogetherStep     = "ready, 200 in a row, API", "ready, 50 at once, API"

	hitMiddle, hitLate = 3e-3, 15e-3 // seconds, of which the second is for 99 of 100
)

// diskCases ask how long it takes to make a disk of an image.
func diskCases() []bench.Case {
	var all []bench.Case
	for _, kind := range []string{"ext4", "xfs", "btrfs"} {
		all = append(all, diskCase(kind))
	}
	return all
}

func diskCase(kind string) bench.Case {
	plain := []bench.Contender{
		diskPeer(kind, "qemu-img create -b", (*disks.Place).QEMUOverlay, 50),
		diskPeer(kind, "qemu-img convert", (*disks.Place).FullCopy, 5),
	}
	durable := []bench.Contender{diskPeer(kind, "qemu-img create -b; sync FILE DIR", (*disks.Place).DurableOverlay, 50)}
	if kind != "ext4" { // which has no reflinks
		plain = append(plain, diskPeer(kind, "cp --reflink=always", (*disks.Place).Reflink, 50))
		durable = append(durable, diskPeer(kind, "cp --reflink=always; sync FILE DIR", (*disks.Place).DurableReflink, 50))
	}
	missed := func(text string, peers []bench.Contender) bench.Goal {
		g := bench.Goal{Text: kind + ": a disk that is not ready, against the best" + text, Step: missStep, Metric: middleTime, AtLeast: 1}
		for _, p := range peers {
			g.Versus = append(g.Versus, p.Name)
		}
		return g
	}
	return bench.Case{
		Name: "disk/" + kind, Title: "Time to make a disk of an image, on " + kind,
		Shows: "A node's create, durable when it returns, of disks that are ready and that are not, also through the API of a daemon " +
			"whose data is in the same place and that has made 20; beside it programs that do the " +
			"same and sync nothing, and those that are quick once more with what they made synced, file and directory. The image is " +
			"64 MiB, a quarter of it data; the golden base is there.",
		Metric: middleTime, Caches: []result.Cache{result.Warm}, Steps: []string{hitStep, togetherStep, apiHitStep, apiTogetherStep, missStep},
		MaxRounds: 3, Independent: true, Prepare: makeDiskImage,
		Contenders: slices.Concat([]bench.Contender{ourDisks(kind)}, plain, durable),
		Goals: []bench.Goal{
			{Text: kind + ": a ready disk, median", Step: hitStep, Metric: middleTime, AtMost: hitMiddle},
			{Text: kind + ": a ready disk, p99", Step: hitStep, Metric: answerP99, AtMost: hitLate},
			{Text: kind + ": a ready disk, 50 at once, p99", Step: togetherStep, Metric: answerP99, AtMost: hitLate},
			{Text: kind + ": a ready disk through the API, median", Step: apiHitStep, Metric: middleTime, AtMost: hitMiddle},
			{Text: kind + ": a ready disk through the API, p99", Step: apiHitStep, Metric: answerP99, AtMost: hitLate},
			{Text: kind + ": a ready disk through the API, 50 at once, p99", Step: apiTogetherStep, Metric: answerP99, AtMost: hitLate},
			missed(", unsynced", plain),
			missed(" synced", durable),
		},
	}
}

// measurement calls a create so many times.
type measurement = func(ctx context.Context, n int, create func(context.Context, int) error) (disks.Latencies, error)

// ourDisks makes disks by a node.
func ourDisks(kind string) bench.Contender {
	step := func(ready, n int, measure measurement) bench.Command {
		return inPlace(kind, bench.Ours, func(ctx context.Context, _ *bench.Env, p *disks.Place) (disks.Latencies, error) {
			err := p.Import(ctx)
			if err == nil {
				err = p.Fill(ctx, ready)
			}
			if err != nil {
				return nil, err
			}
			if ready == 0 { // the golden base is not what is measured
				if err := p.Create(ctx, 0); err != nil {
					return nil, err
				}
			}
			return measure(ctx, n, p.Create)
		})
	}
	return bench.Contender{Name: bench.Ours, Steps: map[string]bench.Command{
		hitStep: step(220, 200, disks.InARow), togetherStep: step(60, 50, disks.AtOnce), missStep: step(0, 50, disks.InARow),
		apiHitStep: throughAPI(kind, 220, 200, disks.InARow), apiTogetherStep: throughAPI(kind, 60, 50, disks.AtOnce),
	}}
}

// firstCreates are those of a daemon that has just started, and not measured.
const firstCreates = 20

// throughAPI makes disks by a daemon.
func throughAPI(kind string, ready, n int, measure measurement) bench.Command {
	return inPlace(kind, bench.Ours, func(ctx context.Context, env *bench.Env, p *disks.Place) (disks.Latencies, error) {
		bin, err := env.ProgramDir("blockmilld")
		if err != nil {
			return nil, err
		}
		d, err := p.Serve(ctx, bin)
		if err == nil {
			err = d.Fill(ctx, ready)
		}
		if err == nil {
			_, err = disks.InARow(ctx, firstCreates, d.Create)
		}
		if err == nil {
			err = d.Fill(ctx, ready)
		}
		if err != nil {
			return nil, err
		}
		return measure(ctx, n, d.Create)
	})
}

func diskPeer(kind, name string, create func(*disks.Place, context.Context, int) error, n int) bench.Contender {
	cmd := inPlace(kind, name, func(ctx context.Context, _ *bench.Env, p *disks.Place) (disks.Latencies, error) {
		return disks.InARow(ctx, n, func(ctx context.Context, i int) error { return create(p, ctx, i) })
	})
	return bench.Contender{Name: name, Steps: map[string]bench.Command{missStep: cmd}}
}

// placed measures in a place.
type placed = func(context.Context, *bench.Env, *disks.Place) (disks.Latencies, error)

// inPlace is a command that measures in a file system of the kind, and beside that
// the CPU time that all else took meanwhile: a burst keeps every processor busy, and
// takes longer for whoever else is there.
func inPlace(kind, shown string, latencies placed) bench.Command {
	return bench.Command{
		Args: []string{shown},
		Compute: func(ctx context.Context, env *bench.Env) (map[result.Metric]float64, error) {
			others := measure.Others()
			l, err := inOpenPlace(ctx, env, kind, latencies)
			return map[result.Metric]float64{
				middleTime: l.Quantile(0.5).Seconds(), answerP99: l.Quantile(0.99).Seconds(), result.Others: others().Seconds(),
			}, err
		},
	}
}

func inOpenPlace(ctx context.Context, env *bench.Env, kind string, latencies placed) (_ disks.Latencies, err error) {
	p, err := disks.Open(ctx, env.Path("$SCRATCH"), kind, env.Path(diskImage))
	defer func() { err = errors.Join(err, p.Close()) }()
	if err != nil {
		return nil, err
	}
	return latencies(ctx, env, p)
}

// makeDiskImage makes an image of which a quarter is data.
func makeDiskImage(_ context.Context, env *bench.Env) (err error) {
	p := make([]byte, 16<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(p)
	f, err := os.Create(env.Path(diskImage))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(p); err != nil {
		return err
	}
	return f.Truncate(64 << 20)
}
