package vmdk

import (
	"context"
	"fmt"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/convert/badimage"
)

// tail checks what stands after everything that the tables name. A footer is
// the end. A stream without one ends with zeros, an end-of-stream marker or
// the rest of the room that was made for its last grain. A plain extent may
// have grains at its end that no table names any more, but no piece of one.
func (c *checker) tail(ctx context.Context) error {
	s := c.s
	end := max(c.claimed.last.Load(), int64(s.h.overHead)) * sectorSize
	rest := s.file.size - end
	if s.footer || rest <= 0 {
		return nil
	}
	limit := s.grainBytes + sectorSize
	if !s.h.compressed() {
		if rest%s.grainBytes == 0 {
			return nil
		}
		limit = s.grainBytes
	}
	if rest > limit {
		return badimage.Corrupt(format, "end of file", end, badimage.Int(rest)+" bytes that no table names", "at most "+badimage.Int(limit))
	}
	p := make([]byte, rest)
	if err := s.file.readFull(p, end); err != nil {
		return err
	}
	if !blockio.IsZero(p) {
		return badimage.Corrupt(format, "end of file", end, badimage.Int(rest)+" bytes that no table names", "zeros")
	}
	return ctx.Err()
}

// maxGaps bounds in sectors what a stream may hold besides what its tables
// name.
const maxGaps = 64 << 20 / sectorSize

// gapReader checks the sectors of a stream that no table names. A stream's
// reader would not pass over a grain there. So they may hold zeros, markers of
// progress, and tables without entries, which some writers leave out of the
// directory.
type gapReader struct {
	// table is how many sectors of an empty table are still to come.
	table uint64
	// seen counts all sectors, for the bound.
	seen int64
}

// read checks the sectors start to end-1, the next that no table names.
func (r *gapReader) read(ctx context.Context, file source, start, end int64) error {
	if r.seen += end - start; r.seen > maxGaps {
		return badimage.Corrupt(format, "stream", start*sectorSize, badimage.Int(r.seen)+" sectors that no table names", "at most "+badimage.Int(maxGaps))
	}
	var sector [sectorSize]byte
	for ; start < end; start++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := file.readFull(sector[:], start*sectorSize); err != nil {
			return err
		}
		zero := blockio.IsZero(sector[:])
		if r.table > 0 {
			r.table--
		} else if m := parseMarker(sector[:]); !zero && m.size == 0 {
			zero = m.kind == markerProgress || (m.kind == markerGT && m.val == tableSectors)
			if m.kind == markerGT {
				r.table = m.val
			}
		}
		if !zero {
			return badimage.Corrupt(format, "stream", start*sectorSize, fmt.Sprintf("sector %d, which no table names", start), "zeros, or a marker of progress")
		}
	}
	return nil
}
