// Package libdeflate is the C library of that name, for comparison in benchmarks. It is empty without the build tag
// libdeflate, so that the plain build needs no C.
package libdeflate
