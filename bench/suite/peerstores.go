package suite

import "github.com/blockmill/blockmill/bench"

// repository is where every peer keeps its store.
const repository = "$SCRATCH/repository"

// peerStores are the deduplicating stores that we are compared with, doing
// the steps that have an image, and restoring the first.
func peerStores(images map[string]string) []bench.Contender {
	return []bench.Contender{
		desync(images), casync(images), restic(images), kopia(images), borg(images),
	}
}

func desync(images map[string]string) bench.Contender {
	steps := importSteps(images, repository, func(step, image string) []string {
		return []string{"make", "-s", repository, "$SCRATCH/" + slug(step) + ".caibx", image}
	})
	steps[restoreStep] = restore(repository, bench.Command{
		Args: []string{"extract", "-s", repository, "$SCRATCH/" + slug(firstStep) + ".caibx", restored},
	}, restored)
	return bench.Contender{Name: "desync", Program: "desync", Steps: steps}
}

func casync(images map[string]string) bench.Contender {
	steps := importSteps(images, repository, func(step, image string) []string {
		return []string{"make", "--store=" + repository, "$SCRATCH/" + slug(step) + ".caibx", image}
	})
	steps[restoreStep] = restore(repository, bench.Command{
		Args: []string{"extract", "--store=" + repository, "$SCRATCH/" + slug(firstStep) + ".caibx", restored},
	}, restored)
	return bench.Contender{Name: "casync", Program: "casync", Steps: steps}
}

// restic restores to the path that the file had, below its target.
func restic(images map[string]string) bench.Contender {
	out := "$SCRATCH/restored$CORPUS/a.raw"
	steps := importSteps(images, repository, func(step, image string) []string {
		return []string{"backup", "--quiet", "--force", "--tag", slug(step), image}
	})
	steps[restoreStep] = restore(repository, bench.Command{
		Args: []string{"restore", "latest", "--quiet", "--tag", slug(firstStep), "--target", "$SCRATCH/restored"},
	}, out)
	return bench.Contender{
		Name: "restic", Program: "restic",
		Env:   []string{"RESTIC_REPOSITORY=" + repository, "RESTIC_PASSWORD=bench"},
		Setup: [][]string{{"init", "--quiet"}},
		Steps: steps,
	}
}

func kopia(images map[string]string) bench.Contender {
	steps := importSteps(images, repository, func(_, image string) []string {
		return []string{"snapshot", "create", "--force-hash=100", "--no-progress", image}
	})
	steps[restoreStep] = restore(repository, bench.Command{
		Args: []string{"snapshot", "restore", "--write-sparse-files", "--no-progress", "--snapshot-time=latest", "$CORPUS/" + images[firstStep], restored},
	}, restored)
	return bench.Contender{
		Name: "kopia", Program: "kopia",
		Env: []string{"KOPIA_PASSWORD=bench", "KOPIA_CHECK_FOR_UPDATES=false"},
		Setup: [][]string{
			{"repository", "create", "filesystem", "--path", repository},
			{"policy", "set", "--global", "--compression=zstd-fastest"},
		},
		Steps: steps,
	}
}

// borg names archived files by the path that they are given with, so it works
// inside the directories.
func borg(images map[string]string) bench.Contender {
	steps := make(map[string]bench.Command)
	for step, image := range images {
		steps[step] = bench.Command{
			Args:  []string{"create", "--compression", "lz4", "--files-cache=disabled", "::" + slug(step), image},
			Dir:   "$CORPUS",
			Reads: []string{"$CORPUS/" + image}, Writes: repository, Grows: true,
		}
	}
	steps[restoreStep] = restore(repository, bench.Command{
		Args: []string{"extract", "--sparse", "::" + slug(firstStep)}, Dir: "$SCRATCH/home",
	}, "$SCRATCH/home/a.raw")
	return bench.Contender{
		Name: "borg", Program: "borg",
		Env:   []string{"BORG_REPO=" + repository, "BORG_BASE_DIR=$SCRATCH/home", "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes"},
		Setup: [][]string{{"init", "--encryption", "none"}},
		Steps: steps,
	}
}
