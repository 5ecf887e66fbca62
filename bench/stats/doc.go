// Package stats has the little statistics that paired benchmark runs need:
// order statistics of a handful of samples and a rank test of whether two
// handfuls differ.
//
// All functions are pure, leave their arguments as they are, and are safe for
// concurrent use. Nothing here assumes a distribution: wall times of a machine
// that does other work too are skewed.
package stats
