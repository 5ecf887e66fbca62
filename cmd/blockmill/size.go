package main

import "fmt"

const sizeUnits = "KMGT"

// human prints a number of bytes for people.
func human(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n), 0
	for v >= 1024 && unit < len(sizeUnits) {
		v /= 1024
		unit++
	}
	return fmt.Sprintf("%.2f %ciB", v, sizeUnits[unit-1])
}
