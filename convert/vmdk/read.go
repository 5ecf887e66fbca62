package vmdk

import (
	"fmt"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/convert/badimage"
	"github.com/blockmill/blockmill/convert/inflate"
)

// batch is how many grains are looked up at once: half a table.
const batch = 256

// readAt fills p with the guest bytes at off, all inside the extent.
func (s *sparse) readAt(p []byte, off int64) error {
	var entries [batch + 2]uint32
	for len(p) > 0 {
		first := off / s.grainBytes
		last := min((off+int64(len(p))-1)/s.grainBytes, first+batch-1)
		// One entry more tells where the last stored grain ends, and a zero
		// after it ends the lot.
		n := last - first + 1
		if last+1 < s.h.grains() && s.h.compressed() {
			n++
		}
		if err := s.grainEntries(first, entries[:n]); err != nil {
			return err
		}
		entries[n] = 0
		size := min(int64(len(p)), (last+1)*s.grainBytes-off)
		r := grainRange{s: s, p: p[:size], off: off, first: first, count: int(last - first + 1)}
		read := r.readPlain
		if s.h.compressed() {
			read = r.readStored
		}
		if err := read(entries[:n+1]); err != nil {
			return err
		}
		p, off = p[size:], off+size
	}
	return nil
}

// grainRange is one step of readAt: count grains from first on, of which p
// takes the guest bytes from off on.
type grainRange struct {
	s     *sparse
	p     []byte
	off   int64
	first int64
	count int
}

// part is what of p the grains i to j-1 of the range give, and the guest
// offset where it begins.
func (r *grainRange) part(i, j int) ([]byte, int64) {
	start := max((r.first+int64(i))*r.s.grainBytes, r.off)
	end := min((r.first+int64(j))*r.s.grainBytes, r.off+int64(len(r.p)))
	return r.p[start-r.off : end-r.off], start
}

// readPlain reads grains that are stored as they are, neighbours at once.
func (r *grainRange) readPlain(entries []uint32) error {
	s := r.s
	for i := 0; i < r.count; {
		j := i + 1
		if !present(entries[i]) {
			for j < r.count && !present(entries[j]) {
				j++
			}
			zeros, _ := r.part(i, j)
			clear(zeros)
			i = j
			continue
		}
		for j < r.count && uint64(entries[j]) == uint64(entries[i])+uint64(j-i)*s.h.grainSize {
			j++
		}
		p, start := r.part(i, j)
		host := int64(entries[i])*sectorSize + start - (r.first+int64(i))*s.grainBytes
		if err := s.file.readFull(p, host); err != nil {
			return err
		}
		i = j
	}
	return nil
}

// readStored reads and decodes compressed grains. Grains that follow one
// another in the file are fetched at once; an entry tells where the one before
// it ends at the latest.
func (r *grainRange) readStored(entries []uint32) error {
	buf := r.s.stored.get(readAhead)
	defer buf.release()
	for i := 0; i < r.count; {
		if !present(entries[i]) {
			zeros, _ := r.part(i, i+1)
			clear(zeros)
			i++
			continue
		}
		start := int64(entries[i]) * sectorSize
		room := buf.at(start)
		j, end := r.run(entries, i, len(room))
		got := room[:end-start]
		if err := r.s.file.readFull(got, start); err != nil {
			return err
		}
		for ; i < j-1; i++ {
			at, next := int64(entries[i])*sectorSize, int64(entries[i+1])*sectorSize
			if err := r.decode(i, at, got[at-start:next-start]); err != nil {
				return err
			}
		}
		if err := r.decodeLast(i, int64(entries[i])*sectorSize, start, got, room); err != nil {
			return err
		}
		i++
	}
	return nil
}

// run tells how far one fetch goes that begins with grain i and takes at most
// limit bytes: the grains i to j-1, the bytes up to end. The last grain of a
// run has an end that is known, or as much room as a grain that did not
// compress takes.
func (r *grainRange) run(entries []uint32, i, limit int) (j int, end int64) {
	s := r.s
	start := int64(entries[i]) * sectorSize
	room := func(k int) int64 {
		from := int64(entries[k]) * sectorSize
		next := int64(nextGrain(entries[k+1:])) * sectorSize
		if next > from && next-from <= s.maxStored()+sectorSize {
			return next
		}
		return min(from+s.grainBytes+sectorSize, s.file.size)
	}
	end = min(room(i), start+int64(limit))
	for j = i + 1; j < r.count; j++ {
		if int64(entries[j])*sectorSize != end {
			break
		}
		next := room(j)
		if next-start > int64(limit) {
			break
		}
		end = next
	}
	return j, end
}

// nextGrain is the first entry that names a grain, or 0.
func nextGrain(entries []uint32) uint32 {
	for _, e := range entries {
		if present(e) {
			return e
		}
	}
	return 0
}

// decodeLast decodes the last grain of a fetch, which stands at byte offset at
// of the file; got holds the file from start on. When the grain is longer than
// got it is fetched again, into room, of which got is a part.
func (r *grainRange) decodeLast(i int, at, start int64, got, room []byte) error {
	data := got[at-start:]
	m := parseGrainMarker(data)
	if err := r.s.checkGrainMarker(m, r.first+int64(i), at); err != nil {
		return err
	}
	if stored := grainMarkerSize + int(m.size); stored > len(data) {
		data = room[:stored]
		if err := r.s.file.readFull(data, at); err != nil {
			return err
		}
	}
	return r.decode(i, at, data)
}

// decode decodes grain i of the range, which stands at byte offset at of the
// file and has no more room there than data.
func (r *grainRange) decode(i int, at int64, data []byte) error {
	blockio.Yield()
	s, g := r.s, r.first+int64(i)
	m := parseGrainMarker(data)
	if err := s.checkGrainMarker(m, g, at); err != nil {
		return err
	}
	if room := len(data) - grainMarkerSize; int64(m.size) > int64(room) {
		return badimage.Corrupt(format, fmt.Sprintf("marker size of grain %d", g), at+8, badimage.Int(m.size),
			"at most "+badimage.Int(room)+" before the next grain")
	}
	s.seen.add(g, m.sectors())
	data = data[grainMarkerSize : grainMarkerSize+m.size]
	p, guest := r.part(i, i+1)
	if int64(len(p)) == s.grainBytes {
		return s.inflateGrain(p, data, g, at)
	}
	whole := s.grains.get(int(s.grainBytes))
	defer whole.release()
	if err := s.inflateGrain(whole.bytes[:s.grainBytes], data, g, at); err != nil {
		return err
	}
	copy(p, whole.bytes[guest-g*s.grainBytes:])
	return nil
}

// checkGrainMarker checks the marker of grain g at byte offset at.
func (s *sparse) checkGrainMarker(m marker, g, at int64) error {
	if m.val != uint64(g)*s.h.grainSize {
		return badimage.Corrupt(format, fmt.Sprintf("marker lba of grain %d", g), at, badimage.Int(m.val), badimage.Int(uint64(g)*s.h.grainSize))
	}
	most := min(s.maxStored(), s.file.size-at) - grainMarkerSize
	if m.size == 0 || int64(m.size) > most {
		return badimage.Corrupt(format, fmt.Sprintf("marker size of grain %d", g), at+8, badimage.Int(m.size), "1 to "+badimage.Int(most))
	}
	return nil
}

// inflateGrain decodes grain g into dst, a grain long. The stream must make
// the grain exactly and fill its stored size; the last grain may end with the
// capacity, as some writers do not pad it.
func (s *sparse) inflateGrain(dst, data []byte, g, at int64) error {
	n, consumed, err := inflate.Zlib(dst, data)
	if err == nil && consumed == len(data) && int64(n) >= s.grainLength(g) {
		return nil
	}
	value, want := "", "one zlib stream"
	switch {
	case err != nil:
	case consumed != len(data):
		value, want = badimage.Int(len(data)-consumed)+" bytes after the stream", "none"
	default:
		value, want = badimage.Int(n)+" bytes", badimage.Int(s.grainLength(g))
	}
	return badimage.Corrupt(format, fmt.Sprintf("data of grain %d", g), at+grainMarkerSize, value, want).Because(err)
}
