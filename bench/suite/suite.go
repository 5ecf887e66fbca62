package suite

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/blockmill/blockmill/bench"
)

// Cases returns all cases in the order in which they are shown.
func Cases() []bench.Case {
	return slices.Concat(convertCases(), digestCases(), storeCases(), fetchCases(), dedupCases(), careCases(), stripeCases(), scaleCases(), apiCases(), diskCases(), nbdCases(),
		memoryCases(), microCases())
}

// Choose returns the cases that any of the patterns names: a whole name, the
// part before its slash, or a shell pattern. Without patterns it is all cases.
func Choose(cases []bench.Case, patterns []string) ([]bench.Case, error) {
	if len(patterns) == 0 {
		return cases, nil
	}
	var chosen []bench.Case
	used := make([]bool, len(patterns))
	for _, c := range cases {
		kind, _, _ := strings.Cut(c.Name, "/")
		hit := false
		for i, p := range patterns {
			match, err := path.Match(p, c.Name)
			if err != nil {
				return nil, fmt.Errorf("case pattern %q: %w", p, err)
			}
			if match || p == kind {
				used[i], hit = true, true
			}
		}
		if hit {
			chosen = append(chosen, c)
		}
	}
	if i := slices.Index(used, false); i >= 0 {
		return nil, fmt.Errorf("no case matches %q", patterns[i])
	}
	return chosen, nil
}
