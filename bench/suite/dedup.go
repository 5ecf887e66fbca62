package suite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/blockmill/blockmill/bench"
	"github.com/blockmill/blockmill/bench/result"
	"github.com/blockmill/blockmill/blockio"
	"github.com/cespare/xxhash/v2"
)

// floorName is the contender that keeps every distinct 4 KiB block once: no
// cut on that grid finds more.
const floorName = "4 KiB blocks"

func dedupCases() []bench.Case {
	images := map[string]string{firstStep: "a.raw", upgradeStep: "c.raw", releaseStep: "b.raw"}
	ours := ourContender("raw", images)
	delete(ours.Steps, restoreStep)
	ours.Steps[collectStep] = bench.Command{
		Args:  []string{"store", "gc", "--recompress", "--store", ourStore, "-o", "json"},
		Reads: []string{ourStore}, Writes: ourStore, Grows: true,
	}
	contenders := []bench.Contender{ours, floor(images)}
	peers := peerStores(images)
	for _, peer := range peers {
		delete(peer.Steps, restoreStep)
		contenders = append(contenders, peer)
	}
	return []bench.Case{{
		Name: "dedup", Title: "Bytes on disk",
		Shows: "What a store occupies after a system, then the same system upgraded in place, " +
			"then the same release laid out separately with more packages; ours also once what was stored in a hurry is compressed.",
		Metric: result.Output, Caches: []result.Cache{result.Warm},
		Steps: []string{firstStep, upgradeStep, releaseStep, collectStep}, MaxRounds: 1,
		Needs: []string{"a.raw", "b.raw", "c.raw"}, Contenders: contenders,
		Goals: []bench.Goal{
			{Text: "new bytes of the upgraded system, against 4 KiB blocks", Step: upgradeStep, Metric: result.NewBytes, Versus: []string{floorName}, AtMost: 1.7},
			{Text: "new bytes of the same release, against 4 KiB blocks", Step: releaseStep, Metric: result.NewBytes, Versus: []string{floorName}, AtMost: 1.25},
			{Text: "all three once collected, against the smallest store", Step: collectStep, Metric: result.Output, Versus: names(peers), VersusStep: releaseStep, AtMost: 1},
			{Text: "mean chunk of the first image", Step: firstStep, Metric: result.MeanChunk, AtLeast: 32 << 10},
		},
	}}
}

const floorBlock = 4 << 10

// floor counts the blocks that are neither zeros nor in an image before. The
// steps of a round share what has been seen.
func floor(images map[string]string) bench.Contender {
	var seen map[uint64]struct{}
	steps := make(map[string]bench.Command)
	for step, image := range images {
		steps[step] = bench.Command{
			Args: []string{"distinct", "blocks", "of", "$CORPUS/" + image},
			Compute: func(ctx context.Context, env *bench.Env) (map[result.Metric]float64, error) {
				if step == firstStep {
					seen = make(map[uint64]struct{})
				}
				n, err := countNew(ctx, env.Path("$CORPUS/"+image), seen)
				return map[result.Metric]float64{result.NewBytes: float64(n * floorBlock)}, err
			},
		}
	}
	return bench.Contender{Name: floorName, Steps: steps}
}

// countNew adds the hashes of a file's blocks to seen. Blocks with one 64-bit
// hash are taken for one: it is a count, nothing is stored by it.
func countNew(ctx context.Context, path string, seen map[uint64]struct{}) (int, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	before := len(seen)
	buf := make([]byte, 256*floorBlock)
	for ctx.Err() == nil {
		n, err := io.ReadFull(f, buf)
		for p := buf[:n]; len(p) > 0; p = p[min(len(p), floorBlock):] {
			if block := p[:min(len(p), floorBlock)]; !blockio.IsZero(block) {
				seen[xxhash.Sum64(block)] = struct{}{}
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return len(seen) - before, nil
		}
		if err != nil {
			return 0, fmt.Errorf("count blocks of %s: %w", path, err)
		}
	}
	return 0, ctx.Err()
}
