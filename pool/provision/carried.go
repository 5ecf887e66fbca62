package provision

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"github.com/blockmill/blockmill/blockio/cas"
)

// A clone carries the record of its disk in an extended attribute until the store
// has it. The attribute is set last, so that whatever file system has it has the
// clone, and is made durable by the clone's own sync. ../FORMAT.md has the layout.
const (
	carriedName    = "user.blockmill.record"
	carriedMagic   = "bmCARRY\n"
	carriedVersion = 1
	carriedHead    = len(carriedMagic) + 4 + 4
	carriedFrame   = carriedHead + 8 // with the checksum at the end
	// maxCarried is what every file system takes that makes clones.
	maxCarried = 3 << 10

	// unversionedMagic begins attributes of before there were versions.
	unversionedMagic = "bmrecord"
	unversionedHead  = len(unversionedMagic) + 8
)

var errCarried = errors.New("it carries a damaged record")

func encodeCarried(record []byte) []byte {
	p := append(make([]byte, 0, carriedFrame+len(record)), carriedMagic...)
	p = binary.LittleEndian.AppendUint32(p, carriedVersion)
	p = binary.LittleEndian.AppendUint32(p, 0)
	p = append(p, record...)
	return binary.LittleEndian.AppendUint64(p, xxhash.Sum64(p))
}

// decodeCarried gives the record; errCarried, or cas.ErrNewerVersion.
func decodeCarried(p []byte) ([]byte, error) {
	le := binary.LittleEndian
	if len(p) > unversionedHead && string(p[:len(unversionedMagic)]) == unversionedMagic {
		record := p[unversionedHead:]
		if le.Uint64(p[len(unversionedMagic):]) != xxhash.Sum64(record) {
			return nil, errCarried
		}
		return record, nil
	}
	if len(p) <= carriedFrame || string(p[:len(carriedMagic)]) != carriedMagic {
		return nil, errCarried
	}
	body := p[:len(p)-8]
	if le.Uint64(p[len(body):]) != xxhash.Sum64(body) {
		return nil, errCarried
	}
	if v := le.Uint32(p[len(carriedMagic):]); v != carriedVersion {
		return nil, fmt.Errorf("it carries a record of version %d, this program knows %d: %w", v, carriedVersion, cas.ErrNewerVersion)
	}
	if le.Uint32(p[carriedHead-4:]) != 0 {
		return nil, errCarried
	}
	return body[carriedHead:], nil
}
