package cas

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Record is a small named object. The store keeps the latest of each kind and
// id, and every manifest that it lists.
type Record struct {
	// Kind and ID name the record: lower-case letters, digits and "-", each
	// at most 64 long.
	Kind, ID string
	// Manifests are kept as long as the record lists them.
	Manifests []ManifestID
	// Payload is the caller's, at most 1 MiB.
	Payload []byte
}

const (
	recordHeadSize = 64
	maxRecordName  = 64
	maxPayload     = 1 << 20
	maxRoots       = 1 << 10
	maxRecord      = recordHeadSize + 2*maxRecordName + maxRoots*16 + maxPayload + 8
)

// recordName is a record's name in the volume: records/<kind>.<id>.<version>, the
// version in 16 hexadecimal digits.
type recordName struct {
	kind, id string
	version  uint64
}

func (n recordName) object() string {
	return fmt.Sprintf("%s/%s.%s.%016x", recordKind, n.kind, n.id, n.version)
}

func parseRecordName(name string) (recordName, error) {
	rest, ok := strings.CutPrefix(name, recordKind+"/")
	parts := strings.Split(rest, ".")
	if !ok || len(parts) != 3 || len(parts[2]) != 16 {
		return recordName{}, fmt.Errorf("object %s is no record", name)
	}
	v, err := strconv.ParseUint(parts[2], 16, 64)
	n := recordName{kind: parts[0], id: parts[1], version: v}
	if err != nil || n.object() != name || checkRecordName(n.kind, n.id) != nil {
		return recordName{}, fmt.Errorf("object %s is no record", name)
	}
	return n, nil
}

func checkRecordName(names ...string) error {
	for _, s := range names {
		if s == "" || len(s) > maxRecordName {
			return fmt.Errorf("record name part %q is not 1 to %d characters", s, maxRecordName)
		}
		if i := strings.IndexFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' }); i >= 0 {
			return fmt.Errorf("record name part %q: %q is no lower-case letter, digit or \"-\"", s, s[i])
		}
	}
	return nil
}

func (r Record) validate() error {
	if err := checkRecordName(r.Kind, r.ID); err != nil {
		return err
	}
	if len(r.Payload) > maxPayload || len(r.Manifests) > maxRoots {
		return fmt.Errorf("payload of %d bytes and %d manifests, at most %d and %d", len(r.Payload), len(r.Manifests), maxPayload, maxRoots)
	}
	return nil
}

func (r Record) encode(store StoreID, version uint64) []byte {
	p := make([]byte, 0, recordHeadSize+len(r.Kind)+len(r.ID)+16*len(r.Manifests)+len(r.Payload)+8)
	p = append(p, recordMagic...)
	p = binary.LittleEndian.AppendUint32(p, formatVersion)
	p = binary.LittleEndian.AppendUint32(p, recordHeadSize)
	p = append(p, store[:]...)
	p = binary.LittleEndian.AppendUint64(p, version)
	p = binary.LittleEndian.AppendUint32(p, uint32(len(r.Kind)))
	p = binary.LittleEndian.AppendUint32(p, uint32(len(r.ID)))
	p = binary.LittleEndian.AppendUint32(p, uint32(len(r.Manifests)))
	p = binary.LittleEndian.AppendUint32(p, uint32(len(r.Payload)))
	p = append(p, make([]byte, 8)...)
	p = append(p, r.Kind...)
	p = append(p, r.ID...)
	for _, m := range r.Manifests {
		p = append(p, m[:]...)
	}
	p = append(p, r.Payload...)
	return seal(p)
}

// parseRecordObject reads a whole record object.
func parseRecordObject(p []byte, store StoreID, name recordName) (Record, error) {
	object := name.object()
	if len(p) < recordHeadSize+8 {
		return Record{}, corrupt(object, 0, "%d bytes, expected at least %d", len(p), recordHeadSize+8)
	}
	if err := open(p, object, 0, len(p), recordMagic); err != nil {
		return Record{}, err
	}
	if n := binary.LittleEndian.Uint32(p[12:]); n != recordHeadSize {
		return Record{}, corrupt(object, 12, "head of %d bytes, expected %d", n, recordHeadSize)
	}
	var n [4]int64 // lengths of kind, id, manifests, payload
	for i := range n {
		n[i] = int64(binary.LittleEndian.Uint32(p[40+4*i:]))
	}
	if n[2] > math.MaxInt32 || recordHeadSize+n[0]+n[1]+16*n[2]+n[3]+8 != int64(len(p)) {
		return Record{}, corrupt(object, 40, "parts of %v do not make %d bytes", n, len(p))
	}
	switch {
	case StoreID(p[16:32]) != store:
		return Record{}, corrupt(object, 16, "belongs to store %v, expected %v", StoreID(p[16:32]), store)
	case binary.LittleEndian.Uint64(p[32:]) != name.version:
		return Record{}, corrupt(object, 32, "is version %d", binary.LittleEndian.Uint64(p[32:]))
	}
	body := p[recordHeadSize:]
	r := Record{Kind: string(body[:n[0]]), ID: string(body[n[0] : n[0]+n[1]])}
	body = body[n[0]+n[1]:]
	for range n[2] {
		r.Manifests = append(r.Manifests, ManifestID(body[:16]))
		body = body[16:]
	}
	r.Payload = append([]byte(nil), body[:n[3]]...)
	if r.Kind != name.kind || r.ID != name.id {
		return Record{}, corrupt(object, recordHeadSize, "is record %s.%s", r.Kind, r.ID)
	}
	return r, allZero(p[56:64], object, 56)
}
