package vmdk

import (
	"github.com/blockmill/blockmill/convert/badimage"
)

// flat is an extent whose file holds its guest bytes as they are.
type flat struct {
	file        source
	start, size int64
}

// openFlat checks that the file is what the line says: the extent, and
// nothing after it.
func openFlat(file source, line extentLine) (*flat, error) {
	want := uint64(file.size)
	if line.start > want || line.sectors > want/sectorSize || (line.start+line.sectors)*sectorSize != want {
		return nil, badimage.Corrupt(format, "size of extent "+badimage.Quote(line.name), line.at,
			badimage.Int(file.size)+" bytes", badimage.Int(line.start+line.sectors)+" sectors")
	}
	return &flat{file: file, start: int64(line.start) * sectorSize, size: int64(line.sectors) * sectorSize}, nil
}

func (f *flat) readAt(p []byte, off int64) error {
	return f.file.readFull(p, f.start+off)
}
