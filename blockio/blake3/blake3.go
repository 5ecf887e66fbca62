package blake3

// Sum256 returns the digest of p.
func Sum256(p []byte) [32]byte { return sum256(p) }

// SumMany sets dst[i] to the digest of parts[i]. Small parts are hashed side by side, which takes less time than one
// after the other. It panics if dst is shorter than parts.
func SumMany(dst [][32]byte, parts [][]byte) { sumMany(dst[:len(parts)], parts) }
