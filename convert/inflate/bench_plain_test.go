//go:build !libdeflate

package inflate_test

import "testing"

// cCandidates are those that need C; the build tag libdeflate adds them.
func cCandidates(*testing.B) []candidate { return nil }
