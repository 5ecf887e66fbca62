package vmdk

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/blockmill/blockmill/convert/badimage"
)

// Values of createType that can be read.
const (
	typeSparse    = "monolithicSparse"
	typeStream    = "streamOptimized"
	typeFlat      = "monolithicFlat"
	type2gbSparse = "twoGbMaxExtentSparse"
	type2gbFlat   = "twoGbMaxExtentFlat"
)

// noParent is the parentCID of an image that stands alone.
const noParent = 1<<32 - 1

// descriptor is the text that describes an image: lines of key = value, one
// line an extent, and comments.
type descriptor struct {
	createType string
	cid        uint32
	extents    []extentLine
}

// extentLine is a line such as
//
//	RW 4192256 SPARSE "disk-s001.vmdk"
//	RW 4192256 FLAT "disk-f001.vmdk" 0
type extentLine struct {
	// at is the line's byte offset in the file, for errors.
	at int64
	// sectors is the size; start is the first sector in the file of a FLAT
	// extent.
	sectors, start uint64
	kind           string
	name           string
}

// descriptorParser holds what parseDescriptor has seen so far.
type descriptorParser struct {
	descriptor
	values map[string]string
	places map[string]int64
}

// parseDescriptor parses a descriptor that stands at byte offset at. Text
// after the first NUL is padding.
func parseDescriptor(text []byte, at int64) (*descriptor, error) {
	text, _, _ = bytes.Cut(text, []byte{0})
	p := descriptorParser{values: make(map[string]string), places: make(map[string]int64)}
	first := true
	for len(text) > 0 {
		raw, rest, _ := bytes.Cut(text, []byte("\n"))
		line := strings.TrimSpace(string(raw))
		switch {
		case line == "":
		case first:
			if !strings.EqualFold(line, descriptorID) {
				return nil, badimage.Corrupt(format, "descriptor", at, badimage.Quote(line), badimage.Quote(descriptorID))
			}
			first = false
		default:
			if err := p.line(line, at); err != nil {
				return nil, err
			}
		}
		at += int64(len(text) - len(rest))
		text = rest
	}
	if first {
		return nil, badimage.Corrupt(format, "descriptor", at, "no text", badimage.Quote(descriptorID))
	}
	if err := p.finish(at); err != nil {
		return nil, err
	}
	return &p.descriptor, nil
}

func (p *descriptorParser) line(line string, at int64) error {
	if line[0] == '#' {
		return nil
	}
	switch word, _, _ := strings.Cut(line, " "); word {
	case "RW", "RDONLY", "NOACCESS":
		extent, err := parseExtentLine(line, at)
		if err != nil {
			return err
		}
		p.extents = append(p.extents, extent)
		return nil
	}
	key, value, ok := strings.Cut(line, "=")
	if !ok {
		return badimage.Corrupt(format, "descriptor line", at, badimage.Quote(line), "a key and value, an extent or a comment")
	}
	key = strings.ToLower(strings.TrimSpace(key))
	if _, dup := p.values[key]; dup {
		return badimage.Corrupt(format, "descriptor key", at, badimage.Quote(key), "each key once")
	}
	value = strings.TrimSpace(value)
	if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
		value = value[1 : n-1]
	}
	p.values[key], p.places[key] = value, at
	return refuseKey(key, value, at)
}

// refuseKey refuses keys that make an image need more than its own bytes.
func refuseKey(key, value string, at int64) error {
	switch {
	case key == "parentfilenamehint":
		return badimage.Unsupported(format, "parentFileNameHint", at, badimage.Quote(value), "no parent image")
	case strings.HasPrefix(key, "ddb.nativeparent"), key == "isnativesnapshot" && value != "no":
		return badimage.Unsupported(format, "descriptor key "+badimage.Quote(key), at, badimage.Quote(value), "no native snapshot")
	case strings.Contains(key, "encrypt"), strings.HasSuffix(key, "keyid"), strings.HasSuffix(key, "keysafe"):
		return badimage.Unsupported(format, "descriptor key "+badimage.Quote(key), at, badimage.Quote(value), "no encryption")
	case key == "ddb.iofilters", key == "ddb.sidecars":
		return badimage.Unsupported(format, "descriptor key "+badimage.Quote(key), at, badimage.Quote(value), "no I/O filters")
	}
	return nil
}

func (p *descriptorParser) finish(end int64) error {
	at := func(key string) int64 {
		if o, ok := p.places[key]; ok {
			return o
		}
		return end
	}
	switch v := p.values["version"]; v {
	case "1", "2", "3":
	default:
		return badimage.Unsupported(format, "descriptor version", at("version"), badimage.Quote(v), "1, 2 or 3")
	}
	cid, err := strconv.ParseUint(p.values["cid"], 16, 32)
	if err != nil {
		return badimage.Corrupt(format, "CID", at("cid"), badimage.Quote(p.values["cid"]), "32 bits in hexadecimal")
	}
	p.cid = uint32(cid)
	parent, err := strconv.ParseUint(p.values["parentcid"], 16, 32)
	if err != nil {
		return badimage.Corrupt(format, "parentCID", at("parentcid"), badimage.Quote(p.values["parentcid"]), "32 bits in hexadecimal")
	}
	if parent != noParent {
		return badimage.Unsupported(format, "parentCID", at("parentcid"), badimage.Hex(parent), "ffffffff, no parent image")
	}
	p.createType = p.values["createtype"]
	if len(p.extents) == 0 {
		return badimage.Corrupt(format, "descriptor", end, "no extent", "at least 1")
	}
	return nil
}

// parseExtentLine parses a line that begins with an access word.
func parseExtentLine(line string, at int64) (extentLine, error) {
	bad := func(want string) (extentLine, error) {
		return extentLine{}, badimage.Corrupt(format, "extent line", at, badimage.Quote(line), want)
	}
	left, rest, quoted := strings.Cut(line, `"`)
	words := strings.Fields(left)
	if len(words) < 3 {
		return bad("access, size, type and name")
	}
	if words[0] == "NOACCESS" {
		return extentLine{}, badimage.Unsupported(format, "extent access", at, words[0], "RW or RDONLY")
	}
	if words[2] != "SPARSE" && words[2] != "FLAT" {
		return extentLine{}, badimage.Unsupported(format, "extent type", at, badimage.Quote(words[2]), "SPARSE or FLAT")
	}
	sectors, err := strconv.ParseUint(words[1], 10, 63)
	if err != nil || sectors == 0 {
		return bad("a size of at least 1 sector")
	}
	name, tail, closed := strings.Cut(rest, `"`)
	if !quoted || !closed || len(words) != 3 {
		return bad("a name in quotes")
	}
	e := extentLine{at: at, sectors: sectors, kind: words[2], name: name}
	tail = strings.TrimSpace(tail)
	switch {
	case e.kind == "SPARSE" && tail != "":
		return bad("nothing after the name")
	case e.kind == "FLAT":
		if e.start, err = strconv.ParseUint(tail, 10, 63); err != nil {
			return bad("the first sector after the name")
		}
	}
	return e, nil
}

// normalType maps the two spellings of the split types to one.
func normalType(createType string) string {
	if rest, ok := strings.CutPrefix(createType, "2Gb"); ok {
		return "twoGb" + rest
	}
	return createType
}

// hex8 writes a content identifier as descriptors have it.
func hex8(v uint32) string { return fmt.Sprintf("%08x", v) }
