package inflate

// NewPortable returns a decoder that uses no assembly.
func NewPortable() *Decoder { return &Decoder{portable: true} }

// Checksum is the checksum that Zlib verifies.
var Checksum = checksum

// SameSums reports whether assembly and portable code sum the blocks of p alike.
func SameSums(p []byte) bool { return sumBlocks(p) == sumBlocksPortable(p) }
