package convert

import (
	"bytes"
	"io"
	"strings"

	"github.com/blockmill/blockmill/convert/badimage"
)

// class says what a signature's bearer means for a conversion.
type class uint8

const (
	// container is an image format; at most one may claim a file.
	container class = iota
	// wrapper is a compressed file or an archive: it holds an image at best.
	wrapper
	// text is a description in words, which may name other files.
	text
	// content is what a guest puts at these places of its disk: a raw image
	// may bear it, a container may not.
	content
)

// signature is one mark that a file can bear. The mark stands at the offset
// at from the beginning, or, when at is negative, from the end.
type signature struct {
	name  string
	class class
	at    int64
	mark  string
	// bears looks at what is in the mark's place, instead of a mark.
	bears func(p []byte) bool
	// format is set for the containers that can be read.
	format Format
}

// vmdkDescriptor is what a VMDK in several files begins with.
const vmdkDescriptor = "vmdk text descriptor"

// tail is how much of a file's end is looked at.
const tail = 512

// head is how much of a file's beginning is looked at.
const head = 2 << 10

// signatures is the whole of what is recognised. Places: the beginning, 0x40
// (VDI), 257 (tar), 0x8001 (ISO 9660) and the last 512 bytes (VHD, DMG).
func signatures() []signature {
	return []signature{
		{name: "qcow2", at: 0, mark: "QFI\xfb", format: QCOW2},
		{name: "vmdk", at: 0, mark: "KDMV", format: VMDK},

		{name: "vmdk COWD", at: 0, mark: "COWD"},
		{name: "vmdk SESparse", at: 0, mark: "\xbe\xba\xfe\xca\x00\x00\x00\x00"},
		{name: "vhd", at: 0, mark: "conectix"},
		{name: "vhd", at: -tail, mark: "conectix"},
		{name: "vhdx", at: 0, mark: "vhdxfile"},
		{name: "vdi", at: 0x40, mark: "\x7f\x10\xda\xbe"},
		{name: "parallels", at: 0, mark: "WithoutFreeSpace"},
		{name: "parallels", at: 0, mark: "WithouFreSpacExt"},
		{name: "qed", at: 0, mark: "QED\x00"},
		{name: "bochs", at: 0, mark: "Bochs Virtual HD Image"},
		{name: "cloop", at: 0, mark: "#!/bin/sh\n#V2.0 Format"},
		{name: "dmg", at: -tail, mark: "koly"},

		{name: "gzip", class: wrapper, at: 0, mark: "\x1f\x8b\x08"},
		{name: "xz", class: wrapper, at: 0, mark: "\xfd7zXZ\x00"},
		{name: "zip", class: wrapper, at: 0, mark: "PK\x03\x04"},
		{name: "bzip2", class: wrapper, at: 0, mark: "BZh"},
		{name: "zstd", class: wrapper, at: 0, mark: "\x28\xb5\x2f\xfd"},
		{name: "lz4", class: wrapper, at: 0, mark: "\x04\x22\x4d\x18"},
		{name: "7z", class: wrapper, at: 0, mark: "7z\xbc\xaf\x27\x1c"},
		{name: "rar", class: wrapper, at: 0, mark: "Rar!\x1a\x07"},
		{name: "tar", class: wrapper, at: 257, mark: "ustar"},

		{name: vmdkDescriptor, class: text, at: 0, bears: describes},
		{name: "json text descriptor", class: text, at: 0, mark: "json:"},
		{name: "xml text", class: text, at: 0, mark: "<?xml"},
		{name: "html text", class: text, at: 0, mark: "<!DOCTYPE"},
		{name: "html text", class: text, at: 0, mark: "<html"},

		{name: "luks", class: content, at: 0, mark: "LUKS\xba\xbe"},
		{name: "iso", class: content, at: 0x8001, mark: "CD001"},
	}
}

// find gives the signatures that the file of the given size bears, each name
// once, in the table's order. A mark that the file is too short for is not
// borne.
func find(src io.ReaderAt, size int64) ([]signature, error) {
	var found []signature
	seen := make(map[string]bool)
	places := make(map[int64][]byte)
	for _, sig := range signatures() {
		at := sig.at
		if at < 0 {
			at += size
		}
		if at < 0 || at+int64(len(sig.mark)) > size || seen[sig.name] {
			continue
		}
		if places[at] == nil {
			n := int64(32)
			if at == 0 {
				n = head
			}
			p := make([]byte, min(n, size-at))
			if err := readFull(src, p, at); err != nil {
				return nil, err
			}
			places[at] = p
		}
		if sig.borne(places[at]) {
			seen[sig.name] = true
			found = append(found, sig)
		}
	}
	return found, nil
}

// borne says whether p, which is in the signature's place, bears it.
func (s signature) borne(p []byte) bool {
	if s.bears != nil {
		return s.bears(p)
	}
	return bytes.HasPrefix(p, []byte(s.mark))
}

// readable gives the format of a signature's bearer, or refuses it by name.
func (s signature) readable(size int64) (Format, error) {
	if s.format != "" {
		return s.format, nil
	}
	want := "qcow2, vmdk or raw"
	switch s.class {
	case wrapper:
		want = "the image itself, unpacked"
	case text:
		want = "an image that names no other files"
	case content:
		want = "raw declared as the format"
	case container:
	}
	return "", badimage.Unsupported("image", "format", s.offset(size), s.name, want)
}

func (s signature) offset(size int64) int64 {
	if s.at < 0 {
		return size + s.at
	}
	return s.at
}

func ambiguous(found []signature) error {
	names := make([]string, len(found))
	for i, sig := range found {
		names[i] = sig.name
	}
	return badimage.Unsupported("image", "format", badimage.NoOffset,
		"signatures of "+strings.Join(names, " and "), "one format")
}
