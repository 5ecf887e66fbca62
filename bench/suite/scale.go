package suite

import (
	"context"
	"fmt"
	"os"

	"github.com/blockmill/blockmill/bench"
	"github.com/blockmill/blockmill/bench/fixture"
	"github.com/blockmill/blockmill/bench/result"
)

// The sizes of stores that the cases on scale go through.
var (
	chunkCounts = []int{1_000, 10_000, 100_000, 1_000_000}
	imageCounts = []int{1, 100, 1_000, 10_000}
)

const (
	// probeChunks is the image whose import and export are measured; grownBy
	// bounds the images by which the store grows before, of 8 KiB a chunk.
	probeChunks = 1_000
	grownBy     = 50_000

	probeImage = "$SCRATCH/probe.raw"
	grownImage = "$SCRATCH/grown.raw"
)

func scaleCases() []bench.Case { return []bench.Case{scaleOfChunks(), scaleOfImages()} }

// scaleOfChunks asks what the same work costs in a store that holds more and
// more chunks.
func scaleOfChunks() bench.Case {
	c := scaleCase("chunks", "Cost as the chunks of a store grow",
		"An image of a thousand new chunks imported, exported, looked for among what is there already, and removed with its "+
			"space given back, in a store that grows from a thousand chunks to a million.")
	held := 0
	for round, n := range chunkCounts {
		name := fmt.Sprintf("probe%d", n)
		grow := func(ctx context.Context, env *bench.Env) error {
			if round == 0 {
				held = 0
			}
			if err := growTo(ctx, env, &held, n); err != nil {
				return err
			}
			return fixture.Chunks(env.Path(probeImage), probeChunks, uint64(1e6+n))
		}
		first := importOf(probeImage, "raw", name)
		first.Prepare = grow
		out := copyTo("$SCRATCH/out.raw", "store", "export", "--store", ourStore, name)
		out.Check = bench.SameFile("$SCRATCH/out.raw", probeImage)
		remove := changing("store", "rm", "--store", ourStore, name)
		remove.Prepare = func(ctx context.Context, env *bench.Env) error {
			return env.Run(ctx, bench.Ours, "store", "rm", "--store", ourStore, name+"-again")
		}
		c.add(n, "chunks", []step{
			{"import", first},
			{"import again", importOf(probeImage, "raw", name+"-again")},
			{"export", out},
			{"remove", remove},
			{"collect", changing("store", "gc", "--store", ourStore)},
		})
	}
	c.Goals = []bench.Goal{{
		Text: "import into a million chunks, against a thousand", Step: scaleStep("import", 1_000_000, "chunks"), Metric: result.Total,
		Versus: []string{bench.Ours}, VersusStep: scaleStep("import", 1_000, "chunks"), AtMost: 3,
	}}
	return c.Case
}

// scaleOfImages asks the same about images, which share their chunks here.
func scaleOfImages() bench.Case {
	c := scaleCase("images", "Cost as the images of a store grow",
		"A list, an import and a collection in a store of one image, and of up to ten thousand.")
	for _, n := range imageCounts {
		name := fmt.Sprintf("probe%d", n)
		list := read("store", "ls", "--store", ourStore, "-o", "json")
		list.Prepare = func(ctx context.Context, env *bench.Env) error {
			if n == 1 {
				if err := importChunks(ctx, env, "first", probeChunks, 1); err != nil {
					return err
				}
			}
			if err := fixture.Images(ctx, env.Path(ourStore), n); err != nil {
				return err
			}
			return fixture.Chunks(env.Path(probeImage), probeChunks, uint64(1e6+n))
		}
		c.add(n, "images", []step{
			{"list", list},
			{"import", importOf(probeImage, "raw", name)},
			{"collect", changing("store", "gc", "--store", ourStore)},
		})
	}
	return c.Case
}

// scaling is a case in the making.
type scaling struct{ bench.Case }

func scaleCase(name, title, shows string) *scaling {
	return &scaling{bench.Case{
		Name: "scale/" + name, Title: title, Shows: shows, Metric: result.Total,
		Caches: []result.Cache{result.Warm}, MaxRounds: 3,
		Contenders: []bench.Contender{{
			Name: bench.Ours, Program: bench.Ours,
			Setup: [][]string{{"store", "init", "--store", ourStore}},
			Steps: make(map[string]bench.Command),
		}},
	}}
}

// add appends the steps of one size.
func (c *scaling) add(n int, what string, steps []step) {
	for _, s := range steps {
		name := scaleStep(s.name, n, what)
		c.Steps = append(c.Steps, name)
		c.Contenders[0].Steps[name] = s.cmd
	}
}

// scaleStep is the name of a step; the report draws the steps of one act as a
// curve over the number at the end.
func scaleStep(act string, n int, what string) string { return fmt.Sprintf("%s @ %d %s", act, n, what) }

// growTo imports images until the store holds so many chunks.
func growTo(ctx context.Context, env *bench.Env, held *int, chunks int) error {
	for *held < chunks {
		n := min(chunks-*held, grownBy)
		if err := importChunks(ctx, env, fmt.Sprintf("grown%d", *held), n, uint64(*held+1)); err != nil {
			return err
		}
		*held += n
	}
	return nil
}

// importChunks imports an image of so many chunks that no other has.
func importChunks(ctx context.Context, env *bench.Env, name string, chunks int, seed uint64) error {
	path := env.Path(grownImage)
	if err := fixture.Chunks(path, chunks, seed); err != nil {
		return err
	}
	if err := env.Run(ctx, bench.Ours, importOf(grownImage, "raw", name).Args...); err != nil {
		return err
	}
	return os.Remove(path)
}
