package main

import "fmt"

// human prints a number of bytes for people.
func human(n int64) string {
	const units = "KMGT"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n), 0
	for v >= 1024 && unit < len(units) {
		v /= 1024
		unit++
	}
	return fmt.Sprintf("%.2f %ciB", v, units[unit-1])
}
