package vmdk

import (
	"fmt"

	"github.com/blockmill/blockmill/convert/badimage"
)

// sparse is a sparse extent: a file with a header, a grain directory of grain
// tables, and grains, plain or compressed. Immutable after openSparse but for
// its caches, which lock themselves.
type sparse struct {
	file   source
	h      header
	tables *tableCache
	// gd and rgd are the sectors of the directories; rgd is 0 without one.
	gd, rgd uint64
	// footer says that the file ends with a copy of the header, and so that
	// its tables have markers.
	footer bool
	// size is the guest bytes of the extent: the capacity, or what the
	// descriptor leaves of it.
	size       int64
	grainBytes int64
	// stored lends room for grains as they are in the file, grains for
	// decoded ones.
	stored, grains *buffers
	// seen has the stored sizes of compressed grains that were decoded.
	seen *seenGrains
}

// openSparse reads and checks a header, its copy at the end of the file, and
// the places of what they name.
func openSparse(file source, tables *tableCache, opts Options) (*sparse, error) {
	if file.size < sectorSize {
		return nil, badimage.Corrupt(format, "file", 0, badimage.Int(file.size)+" bytes", "at least 512")
	}
	sector := make([]byte, sectorSize)
	if err := file.readFull(sector, 0); err != nil {
		return nil, err
	}
	h, err := parseHeader(sector, 0)
	if err != nil {
		return nil, err
	}
	if err := h.validate(0, opts.MaxSize); err != nil {
		return nil, err
	}
	s := &sparse{
		file: file, h: h, tables: tables,
		size: int64(h.capacity) * sectorSize, grainBytes: int64(h.grainSize) * sectorSize,
	}
	if err := s.openFooter(); err != nil {
		return nil, err
	}
	if err := s.checkPlaces(); err != nil {
		return nil, err
	}
	s.stored = newBuffers(opts.Arena, pageAlign+s.maxStored()+sectorSize)
	s.grains = newBuffers(opts.Arena, s.grainBytes)
	s.seen = newSeenGrains(maxSeen)
	return s, nil
}

// maxStored is the most bytes that a stored grain takes with its marker. Even
// stored deflate blocks add little; twice the grain is what other readers
// allow.
func (s *sparse) maxStored() int64 {
	if !s.h.compressed() {
		return s.grainBytes
	}
	return 2*s.grainBytes + grainMarkerSize
}

// footerSectors is the marker of the footer, the footer, the end of stream.
const footerSectors = 3

// openFooter finds the footer. It must be there where the header leaves the
// place of the directory to it; some writers give it and a complete header.
func (s *sparse) openFooter() error {
	atEnd := s.h.gdOffset == gdAtEnd
	if !s.h.markers() {
		if atEnd {
			return badimage.Corrupt(format, "gdOffset", 56, "at the end", "a sector, as there are no markers")
		}
		s.gd, s.rgd = s.h.gdOffset, s.redundantOffset(&s.h)
		return nil
	}
	at := s.file.size - footerSectors*sectorSize
	tail := make([]byte, footerSectors*sectorSize)
	if at >= sectorSize {
		if err := s.file.readFull(tail, at); err != nil {
			return err
		}
	}
	m := parseMarker(tail)
	if !atEnd && (m.size != 0 || m.kind != markerFooter || string(tail[sectorSize:sectorSize+4]) != headerMagic) {
		s.gd, s.rgd = s.h.gdOffset, s.redundantOffset(&s.h)
		return nil
	}
	if s.file.size%sectorSize != 0 || at < sectorSize {
		return badimage.Corrupt(format, "file", s.file.size, badimage.Int(s.file.size)+" bytes", "whole sectors that end with a footer")
	}
	if err := m.checkMetadata("footer", at, markerFooter, 1); err != nil {
		return err
	}
	eos := parseMarker(tail[2*sectorSize:])
	if err := eos.checkMetadata("end of stream", at+2*sectorSize, markerEOS, 0); err != nil {
		return err
	}
	footer, err := parseHeader(tail[sectorSize:], at+sectorSize)
	if err != nil {
		return err
	}
	return s.useFooter(footer, at+sectorSize)
}

// useFooter takes the places of the directories from the footer at byte
// offset at, and checks that all else agrees with the header.
func (s *sparse) useFooter(footer header, at int64) error {
	fields := []struct {
		name         string
		at           int64
		header, copy uint64
	}{
		{"version", 4, uint64(s.h.version), uint64(footer.version)},
		{"flags", 8, uint64(s.h.flags), uint64(footer.flags)},
		{"capacity", 12, s.h.capacity, footer.capacity},
		{"grainSize", 20, s.h.grainSize, footer.grainSize},
		{"descriptorOffset", 28, s.h.descriptorOffset, footer.descriptorOffset},
		{"descriptorSize", 36, s.h.descriptorSize, footer.descriptorSize},
		{"numGTEsPerGT", 44, uint64(s.h.numGTEsPerGT), uint64(footer.numGTEsPerGT)},
		{"rgdOffset", 48, s.h.rgdOffset, footer.rgdOffset},
		{"gdOffset", 56, s.h.gdOffset, footer.gdOffset},
		{"overHead", 64, s.h.overHead, footer.overHead},
		{"uncleanShutdown", 72, uint64(s.h.uncleanShutdown), uint64(footer.uncleanShutdown)},
		{"newline test", 73, newlineBits(s.h), newlineBits(footer)},
		{"compressAlgorithm", 77, uint64(s.h.compress), uint64(footer.compress)},
	}
	for _, f := range fields {
		if f.header == f.copy || (f.header == gdAtEnd && (f.name == "gdOffset" || f.name == "rgdOffset")) {
			continue
		}
		return badimage.Corrupt(format, "footer "+f.name, at+f.at, badimage.Int(f.copy), badimage.Int(f.header)+" as in the header")
	}
	if footer.gdOffset == gdAtEnd {
		return badimage.Corrupt(format, "footer gdOffset", at+56, "at the end", "a sector")
	}
	s.footer = true
	s.gd, s.rgd = footer.gdOffset, s.redundantOffset(&footer)
	return nil
}

func newlineBits(h header) uint64 {
	return uint64(h.newline[0])<<24 | uint64(h.newline[1])<<16 | uint64(h.newline[2])<<8 | uint64(h.newline[3])
}

// redundantOffset is the sector of the redundant directory that h names, 0
// without one. Without the flag the field means nothing.
func (s *sparse) redundantOffset(h *header) uint64 {
	if !h.redundant() {
		return 0
	}
	return h.rgdOffset
}

// checkPlaces checks that the descriptor and the directories lie inside the
// file, behind the header, apart from one another.
func (s *sparse) checkPlaces() error {
	end := uint64(sectorsOf(s.file.size))
	if o := s.h.overHead; o < 1 || o > end {
		return badimage.Corrupt(format, "overHead", 64, badimage.Int(o), "1 to "+badimage.Int(end)+", the sectors of the file")
	}
	descriptor := region{"descriptorOffset", 28, s.h.descriptorOffset, s.h.descriptorSize}
	if n := s.h.descriptorSize; n > maxDescriptor/sectorSize {
		return badimage.Unsupported(format, "descriptorSize", 36, badimage.Int(n), "at most "+badimage.Int(maxDescriptor/sectorSize))
	}
	if s.h.descriptorSize > 0 {
		if err := descriptor.inside(s.h.overHead); err != nil {
			return err
		}
	}
	directory := region{"gdOffset", 56, s.gd, s.h.directorySectors()}
	if err := directory.inside(uint64(s.file.size) / sectorSize); err != nil {
		return err
	}
	regions := []region{descriptor, directory}
	if s.h.redundant() {
		redundant := region{"rgdOffset", 48, s.rgd, s.h.directorySectors()}
		if err := redundant.inside(uint64(s.file.size) / sectorSize); err != nil {
			return err
		}
		regions = append(regions, redundant)
	}
	for i, a := range regions {
		for _, b := range regions[:i] {
			if a.overlaps(b) {
				return badimage.Corrupt(format, a.field, a.at, badimage.Int(a.start), "a place apart from that of "+b.field)
			}
		}
	}
	return nil
}

// region is a run of sectors that the header's field at byte offset at names.
type region struct {
	field        string
	at           int64
	start, count uint64
}

func (r region) inside(end uint64) error {
	if r.start < 1 || r.start > end || r.count > end-r.start {
		return badimage.Corrupt(format, r.field, r.at, badimage.Int(r.start),
			fmt.Sprintf("%d sectors from 1 to %d", r.count, end))
	}
	return nil
}

func (r region) overlaps(o region) bool {
	return r.start < o.start+o.count && o.start < r.start+r.count
}

// table gives the sector of the grain table that entry index of the directory
// at sector gd names, 0 for none.
func (s *sparse) table(gd uint64, index int64) (uint32, error) {
	var entry [1]uint32
	if err := s.tables.entries(s.file, int64(gd)*sectorSize+index*entrySize, entry[:]); err != nil {
		return 0, err
	}
	return entry[0], s.checkTable(gd, index, entry[0])
}

func (s *sparse) checkTable(gd uint64, index int64, entry uint32) error {
	if entry == 0 {
		return nil
	}
	if end := s.file.size / sectorSize; entry < 2 || int64(entry)+tableSectors > end {
		return badimage.Corrupt(format, fmt.Sprintf("grain directory entry %d", index), int64(gd)*sectorSize+index*entrySize,
			badimage.Int(entry), fmt.Sprintf("0, or %d sectors from 2 to %d", tableSectors, end))
	}
	return nil
}

// grainEntries fills dst with the table entries of the grains from first on:
// 0 for none, 1 for a zeroed grain where the header allows it, else the sector
// of a grain that begins inside the file.
func (s *sparse) grainEntries(first int64, dst []uint32) error {
	for len(dst) > 0 {
		index, slot := first/entriesPerTable, first%entriesPerTable
		n := min(len(dst), int(entriesPerTable-slot))
		sector, err := s.table(s.gd, index)
		if err != nil {
			return err
		}
		if sector == 0 {
			clear(dst[:n])
		} else {
			at := int64(sector)*sectorSize + slot*entrySize
			if err := s.tables.entries(s.file, at, dst[:n]); err != nil {
				return err
			}
			if err := s.checkGrains(first, at, dst[:n]); err != nil {
				return err
			}
		}
		first += int64(n)
		dst = dst[n:]
	}
	return nil
}

// checkGrains checks the entries of grains from first on, which stand at byte
// offset at. A plain grain lies in the file whole, but for the part of the
// last that is beyond the capacity.
func (s *sparse) checkGrains(first, at int64, entries []uint32) error {
	for i, e := range entries {
		if e == 0 || (e == 1 && s.h.zeroGrains()) {
			continue
		}
		g := first + int64(i)
		need := int64(grainMarkerSize)
		if !s.h.compressed() {
			need = s.grainLength(g)
		}
		if uint64(e) < s.h.overHead || int64(e)*sectorSize+need > s.file.size || g >= s.h.grains() {
			return s.badGrain(g, at+int64(i)*entrySize, badimage.Int(e),
				fmt.Sprintf("0, or a grain from sector %d to the file's end at %d", s.h.overHead, s.file.size))
		}
	}
	return nil
}

// grainLength is how many bytes of grain g the capacity covers.
func (s *sparse) grainLength(g int64) int64 {
	return min(s.grainBytes, int64(s.h.capacity)*sectorSize-g*s.grainBytes)
}

func (s *sparse) badGrain(g, at int64, value, want string) *badimage.Error {
	return badimage.Corrupt(format, fmt.Sprintf("grain table entry of grain %d", g), at, value, want)
}

// present tells whether a table entry names a grain.
func present(entry uint32) bool { return entry > 1 }
