package pool

import (
	"encoding/json"

	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/pool/ready"
)

// Codec reads and writes the records of one kind.
type Codec struct {
	Decode func(cas.Record) (any, error)
	Encode func(any) (cas.Record, error)
}

func codecOf[I ~string, T any, R resource[I, T]](kind string) Codec {
	return Codec{
		Decode: func(r cas.Record) (any, error) {
			v, err := decodeRecord[I, T, R](r, DefaultFolder)
			if err != nil {
				return nil, err
			}
			return *v, nil
		},
		Encode: func(v any) (cas.Record, error) {
			thing := v.(T)
			return encodeRecord[I, T, R](kind, &thing)
		},
	}
}

// Codecs are those of all things.
var Codecs = map[string]Codec{
	imageKind:    codecOf[ImageID, Image](imageKind),
	snapshotKind: codecOf[SnapshotID, Snapshot](snapshotKind),
	diskKind:     codecOf[DiskID, Disk](diskKind),
}

// DecodeCarried reads the record that a disk's file carries.
func DecodeCarried(payload []byte) (*Disk, error) { return decodeCarried(payload, DefaultFolder) }

// EncodePool makes the payload of a pool's settings.
func EncodePool(s ready.Settings) ([]byte, error) { return json.Marshal(poolRecord{recordVersion, s}) }
