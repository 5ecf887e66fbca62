package vmdk

import (
	"io"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/convert/badimage"
)

// OpenDescriptor opens an image in several files: a descriptor of size bytes
// and the extents that it names: twoGbMaxExtentSparse, monolithicFlat or
// twoGbMaxExtentFlat. Each extent must be handed over under its name, and no
// other file. What OpenDescriptor refuses is a *badimage.Error.
func OpenDescriptor(desc io.ReaderAt, size int64, extents []ExtentSource, opts Options) (*Image, error) {
	opts = opts.withDefaults()
	if err := opts.validate(); err != nil {
		return nil, err
	}
	if size < int64(len(descriptorID)) || size > maxDescriptor {
		return nil, badimage.Corrupt(format, "descriptor file", 0, badimage.Int(size)+" bytes", "at most "+badimage.Int(maxDescriptor))
	}
	text := make([]byte, size)
	if err := (source{ReaderAt: desc, size: size}).readFull(text, 0); err != nil {
		return nil, err
	}
	d, err := parseDescriptor(text, 0)
	if err != nil {
		return nil, err
	}
	kind, err := splitKind(d)
	if err != nil {
		return nil, err
	}
	sources, err := matchExtents(d, extents)
	if err != nil {
		return nil, err
	}
	img := &Image{createType: d.createType, cid: d.cid}
	tables := newTableCache()
	for i, line := range d.extents {
		if line.kind != kind {
			return nil, badimage.Unsupported(format, "extent type", line.at, line.kind, kind+" in "+d.createType)
		}
		if line.sectors > uint64(opts.MaxSize-img.size)/sectorSize {
			return nil, badimage.Unsupported(format, "extent size", line.at, badimage.Int(line.sectors), "at most "+badimage.Int(opts.MaxSize)+" bytes in all")
		}
		file := source{ReaderAt: sources[i].Source, size: sources[i].Size, index: i}
		g, size, err := openExtent(file, line, tables, opts)
		if err != nil {
			return nil, err
		}
		img.extents = append(img.extents, extent{start: img.size, size: size, guest: g})
		img.size += size
	}
	return img, nil
}

// splitKind tells the type of extent that a split image must have.
func splitKind(d *descriptor) (string, error) {
	switch normalType(d.createType) {
	case type2gbSparse:
		return "SPARSE", nil
	case typeFlat:
		if len(d.extents) != 1 {
			return "", badimage.Corrupt(format, "descriptor", d.extents[1].at, badimage.Int(len(d.extents))+" extents", "1 in "+typeFlat)
		}
		return "FLAT", nil
	case type2gbFlat:
		return "FLAT", nil
	}
	return "", badimage.Unsupported(format, "createType", badimage.NoOffset, badimage.Quote(d.createType),
		typeFlat+", "+type2gbFlat+" or "+type2gbSparse)
}

// matchExtents finds the file of each extent by its name. Names are compared,
// never opened.
func matchExtents(d *descriptor, extents []ExtentSource) ([]ExtentSource, error) {
	byName := make(map[string]ExtentSource, len(extents))
	for _, e := range extents {
		byName[e.Name] = e
	}
	matched := make([]ExtentSource, 0, len(d.extents))
	for _, line := range d.extents {
		e, ok := byName[line.name]
		if !ok {
			return nil, badimage.Unsupported(format, "extent name", line.at, badimage.Quote(line.name), "a file that was handed over, once")
		}
		delete(byName, line.name)
		matched = append(matched, e)
	}
	for name := range byName {
		return nil, badimage.Corrupt(format, "descriptor", badimage.NoOffset, "no extent "+badimage.Quote(name), "each file that was handed over")
	}
	return matched, nil
}

// openExtent opens the file of one extent of a split image.
func openExtent(file source, line extentLine, tables *tableCache, opts Options) (guest, int64, error) {
	if line.kind == "FLAT" {
		f, err := openFlat(file, line)
		if err != nil {
			return nil, 0, err
		}
		return f, f.size, nil
	}
	s, err := openSparse(file, tables, opts)
	if err != nil {
		return nil, 0, err
	}
	if s.h.compressed() {
		return nil, 0, badimage.Unsupported(format, "flags of extent "+badimage.Quote(line.name), 8, badimage.Hex(s.h.flags), "plain grains in a split image")
	}
	if err := s.refuseDescriptor(line); err != nil {
		return nil, 0, err
	}
	if err := s.limit(line); err != nil {
		return nil, 0, err
	}
	return s, s.size, nil
}

// refuseDescriptor refuses an embedded descriptor in an extent of a split
// image; room for one, all zeros, is what qemu leaves.
func (s *sparse) refuseDescriptor(line extentLine) error {
	text := make([]byte, s.h.descriptorSize*sectorSize)
	at := int64(s.h.descriptorOffset) * sectorSize
	if err := s.file.readFull(text, at); err != nil {
		return err
	}
	if !blockio.IsZero(text) {
		return badimage.Unsupported(format, "descriptor in extent "+badimage.Quote(line.name), at, badimage.Quote(text), "none in an extent of a split image")
	}
	return nil
}
