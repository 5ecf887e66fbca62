package convert

import "bytes"

// descriptorMark is the first line of a VMDK text descriptor, in any case.
const descriptorMark = "# disk descriptorfile"

// describes says whether a file that begins so is a VMDK text descriptor for some
// reader: it bears the mark, or "version=" comes first after comments and blank
// lines, as block/vmdk.c of QEMU has it.
func describes(begin []byte) bool {
	for len(begin) > 0 {
		var line []byte
		line, begin, _ = bytes.Cut(begin, []byte("\n"))
		line = bytes.TrimSpace(line)
		switch {
		case len(line) >= len(descriptorMark) && bytes.EqualFold(line[:len(descriptorMark)], []byte(descriptorMark)):
			return true
		case len(line) > 0 && line[0] != '#':
			key, _, ok := bytes.Cut(line, []byte("="))
			return ok && bytes.EqualFold(bytes.TrimSpace(key), []byte("version"))
		}
	}
	return false
}
