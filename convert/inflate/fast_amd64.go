package inflate

import "golang.org/x/sys/cpu"

// Why decodeFast returned.
const (
	stopRoom    = iota // a slice has no room for a whole round
	stopEnd            // end of the block
	stopCorrupt        // no code, or a distance before the first byte
	stopMatch          // a match ends too close to the end of dst for its copy to overrun
)

// fast decodes symbols while both slices have room for a whole round. It reports true at the end of the block.
func (d *Decoder) fast() (bool, error) {
	if d.portable || !cpu.X86.HasBMI2 || !cpu.X86.HasAVX {
		return d.fastGeneric()
	}
	s := &d.stream
	if len(s.src) < fastIn || len(s.dst) < overrun {
		return false, nil
	}
	for {
		stop, length, distance := decodeFast(d, s)
		switch stop {
		case stopRoom:
			return false, nil
		case stopEnd:
			return true, nil
		case stopCorrupt:
			return false, ErrCorrupt
		}
		if err := s.match(length, distance); err != nil {
			return false, err
		}
	}
}

// decodeFast runs until one of the reasons to stop and leaves the position in s. It needs BMI2 and AVX, len(src) of
// at least fastIn and len(dst) of at least overrun.
//
//go:noescape
func decodeFast(d *Decoder, s *stream) (stop, length, distance int)
