package cas

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

const (
	batchMagic     = "bmBATCH\n"
	batchHeadSize  = 64
	batchEntrySize = 24 // and the record's kind and id
	// maxBatch is how many records are in one batch at most, and maxBatchBytes
	// about how many bytes they have.
	maxBatch         = 256
	maxBatchBytes    = 1 << 20
	maxBatchHeadSize = batchHeadSize + maxBatch*(batchEntrySize+2*maxRecordName) + 8
	maxBatchSize     = maxBatchHeadSize + maxBatchBytes + maxRecord
)

// batchSerial names a batch: records/<serial>, in 16 hexadecimal digits. None is
// 0.
type batchSerial uint64

func (s batchSerial) object() string { return fmt.Sprintf("%s/%016x", recordKind, uint64(s)) }

// parseBatchName reads the name of a batch; false for other names.
func parseBatchName(name string) (batchSerial, bool) {
	rest, ok := strings.CutPrefix(name, recordKind+"/")
	v, err := strconv.ParseUint(rest, 16, 64)
	s := batchSerial(v)
	return s, ok && err == nil && s != 0 && s.object() == name
}

// encodedRecord is one version of a record, with the bytes that its own object
// would have.
type encodedRecord struct {
	name recordName
	p    []byte
}

// slot is where a record is in its batch.
type slot struct{ off, size int }

// batchObject is what a batch says of itself. Names and slots belong together.
type batchObject struct {
	serial, replaces batchSerial
	names            []recordName
	slots            []slot
}

// encodeBatch makes the object of a batch.
func encodeBatch(store StoreID, serial, replaces batchSerial, records []encodedRecord) ([]byte, batchObject) {
	b := batchObject{serial: serial, replaces: replaces}
	at, total := batchHeadSize+8, 0
	for _, r := range records {
		at += batchEntrySize + len(r.name.kind) + len(r.name.id)
		total += len(r.p)
	}
	p := make([]byte, 0, at+total)
	p = append(p, batchMagic...)
	p = binary.LittleEndian.AppendUint32(p, formatVersion)
	p = binary.LittleEndian.AppendUint32(p, uint32(at))
	p = append(p, store[:]...)
	p = binary.LittleEndian.AppendUint64(p, uint64(serial))
	p = binary.LittleEndian.AppendUint64(p, uint64(replaces))
	p = binary.LittleEndian.AppendUint32(p, uint32(len(records)))
	p = append(p, make([]byte, batchHeadSize-len(p))...)
	for _, r := range records {
		p = binary.LittleEndian.AppendUint64(p, r.name.version)
		p = binary.LittleEndian.AppendUint32(p, uint32(at))
		p = binary.LittleEndian.AppendUint32(p, uint32(len(r.p)))
		p = binary.LittleEndian.AppendUint32(p, uint32(len(r.name.kind)))
		p = binary.LittleEndian.AppendUint32(p, uint32(len(r.name.id)))
		p = append(p, r.name.kind...)
		p = append(p, r.name.id...)
		b.names, b.slots = append(b.names, r.name), append(b.slots, slot{at, len(r.p)})
		at += len(r.p)
	}
	p = seal(p)
	for _, r := range records {
		p = append(p, r.p...)
	}
	return p, b
}

// parseBatch reads what a whole batch says of itself. It does not look into the
// records: one that is damaged takes no others with it.
func parseBatch(p []byte, store StoreID, serial batchSerial) (batchObject, error) {
	object := serial.object()
	if len(p) < batchHeadSize+8 {
		return batchObject{}, corrupt(object, 0, "%d bytes, expected at least %d", len(p), batchHeadSize+8)
	}
	size := int64(binary.LittleEndian.Uint32(p[12:]))
	if size < batchHeadSize+8 || size > maxBatchHeadSize {
		return batchObject{}, corrupt(object, 12, "head of %d bytes", size)
	}
	if err := open(p, object, 0, int(size), batchMagic); err != nil {
		return batchObject{}, err
	}
	b := batchObject{serial: serial, replaces: batchSerial(binary.LittleEndian.Uint64(p[40:]))}
	n := binary.LittleEndian.Uint32(p[48:])
	switch {
	case StoreID(p[16:32]) != store:
		return b, corrupt(object, 16, "belongs to store %v, expected %v", StoreID(p[16:32]), store)
	case binary.LittleEndian.Uint64(p[32:]) != uint64(serial):
		return b, corrupt(object, 32, "is batch %d", binary.LittleEndian.Uint64(p[32:]))
	case n == 0 || n > maxBatch:
		return b, corrupt(object, 48, "%d records, expected 1 to %d", n, maxBatch)
	}
	if err := b.parseEntries(p, batchHeadSize, int(size)-8, int(n)); err != nil {
		return batchObject{}, err
	}
	return b, allZero(p[52:batchHeadSize], object, 52)
}

// parseEntries reads the entries of a batch, which lie from at to end. The records
// are after that and fill the object.
func (b *batchObject) parseEntries(p []byte, at, end, n int) error {
	object, data := b.serial.object(), int64(end+8)
	for range n {
		if end-at < batchEntrySize {
			return corrupt(object, int64(at), "entry is cut off")
		}
		e := p[at:end]
		off, size := int64(binary.LittleEndian.Uint32(e[8:])), int64(binary.LittleEndian.Uint32(e[12:]))
		kind, id := int64(binary.LittleEndian.Uint32(e[16:])), int64(binary.LittleEndian.Uint32(e[20:]))
		if off != data || size > int64(len(p))-data {
			return corrupt(object, int64(at)+8, "record of %d bytes at %d, expected at %d of %d", size, off, data, len(p))
		}
		if kind > maxRecordName || id > maxRecordName || batchEntrySize+kind+id > int64(len(e)) {
			return corrupt(object, int64(at)+16, "kind and id of %d and %d bytes", kind, id)
		}
		text := e[batchEntrySize : batchEntrySize+kind+id]
		name := recordName{string(text[:kind]), string(text[kind:]), binary.LittleEndian.Uint64(e)}
		if err := checkRecordName(name.kind, name.id); err != nil {
			return corrupt(object, int64(at)+batchEntrySize, "%v", err)
		}
		b.names, b.slots = append(b.names, name), append(b.slots, slot{int(off), int(size)})
		data += size
		at += batchEntrySize + len(text)
	}
	if at != end || data != int64(len(p)) {
		return corrupt(object, int64(at), "entries end at %d of %d, records at %d of %d", at, end, data, len(p))
	}
	return nil
}
