package stats

import (
	"cmp"
	"math"
	"slices"
)

// exactLimit is the largest product of sample counts for which RankTest
// counts all arrangements; above it, and with ties, it takes the normal
// approximation.
const exactLimit = 400

// RankTest returns the two-sided p-value of the Mann–Whitney U test: how
// likely ranks as far apart as these are when both sets come from one
// distribution. It is 1 when either set is empty.
func RankTest(a, b []float64) float64 {
	if len(a) == 0 || len(b) == 0 {
		return 1
	}
	u, ties := rankSum(a, b)
	n, m := len(a), len(b)
	if ties == 0 && n*m <= exactLimit {
		return exactP(u, n, m)
	}
	return normalP(u, n, m, ties)
}

// rankSum returns U of a, and the sum of t³−t over all groups of t equal
// values, which is 0 without ties.
func rankSum(a, b []float64) (u, ties float64) {
	type ranked struct {
		value float64
		first bool
	}
	all := make([]ranked, 0, len(a)+len(b))
	for _, x := range a {
		all = append(all, ranked{x, true})
	}
	for _, x := range b {
		all = append(all, ranked{x, false})
	}
	slices.SortFunc(all, func(x, y ranked) int { return cmp.Compare(x.value, y.value) })

	var sum float64
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j].value == all[i].value {
			j++
		}
		rank := float64(i+j+1) / 2 // the mean of the ranks i+1 … j
		for _, r := range all[i:j] {
			if r.first {
				sum += rank
			}
		}
		t := float64(j - i)
		ties += t*t*t - t
		i = j
	}
	n := float64(len(a))
	return sum - n*(n+1)/2, ties
}

// exactP counts arrangements: counts[u] is the number of ways to choose n of
// n+m ranks so that the statistic is u.
func exactP(u float64, n, m int) float64 {
	// f(i, j, u) = f(i−1, j, u−j) + f(i, j−1, u): the largest rank is of the
	// first set, and beats all j of the second, or it is of the second.
	prev := make([][]float64, m+1) // row i−1, for each j
	for j := range prev {
		prev[j] = []float64{1}
	}
	for i := 1; i <= n; i++ {
		row := make([][]float64, m+1)
		row[0] = []float64{1}
		for j := 1; j <= m; j++ {
			row[j] = make([]float64, i*j+1)
			for k := range row[j] {
				if k >= j && k-j < len(prev[j]) {
					row[j][k] += prev[j][k-j]
				}
				if k < len(row[j-1]) {
					row[j][k] += row[j-1][k]
				}
			}
		}
		prev = row
	}
	counts := prev[m]
	low := min(u, float64(n*m)-u)
	var tail, total float64
	for k, c := range counts {
		total += c
		if float64(k) <= low {
			tail += c
		}
	}
	return min(1, 2*tail/total)
}

func normalP(u float64, n, m int, ties float64) float64 {
	nm, sum := float64(n*m), float64(n+m)
	variance := nm / 12 * (sum + 1 - ties/(sum*(sum-1)))
	if variance <= 0 {
		return 1
	}
	// One half for continuity, never past the mean.
	z := max(0, math.Abs(u-nm/2)-0.5) / math.Sqrt(variance)
	return math.Erfc(z / math.Sqrt2)
}
