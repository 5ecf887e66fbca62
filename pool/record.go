package pool

import (
	"encoding/json"
	"fmt"

	"github.com/blockmill/blockmill/blockio/cas"
)

// recordVersion is the version of the payloads, which FORMAT.md describes; a later
// one is refused.
const recordVersion = 1

// The kinds of the store's records.
const (
	imageKind    = "image"
	snapshotKind = "snapshot"
	diskKind     = "disk"
)

// resource is a pointer to one of the kinds of things.
type resource[I ~string, T any] interface {
	*T
	meta() *Meta[I]
	roots() []cas.ManifestID
}

// encodeRecord makes the record of a thing: its JSON, with the version before
// the other members.
func encodeRecord[I ~string, T any, R resource[I, T]](kind string, v *T) (cas.Record, error) {
	members, err := json.Marshal(v)
	if err != nil {
		return cas.Record{}, err
	}
	payload := fmt.Appendf(nil, `{"version":%d,%s`, recordVersion, members[1:])
	r := R(v)
	return cas.Record{Kind: kind, ID: string(r.meta().ID), Payload: payload, Manifests: r.roots()}, nil
}

// decodeRecord reads the thing of a record; home is its folder when it names
// none.
func decodeRecord[I ~string, T any, R resource[I, T]](r cas.Record, home FolderID) (*T, error) {
	var head struct {
		Version int `json:"version"`
	}
	v := new(T)
	err := json.Unmarshal(r.Payload, &head)
	if err == nil && head.Version != recordVersion {
		return nil, fmt.Errorf("read record of %s %s: version %d, want %d: %w", r.Kind, r.ID, head.Version, recordVersion, cas.ErrNewerVersion)
	}
	if err == nil {
		err = json.Unmarshal(r.Payload, v)
	}
	if err != nil {
		return nil, fmt.Errorf("read record of %s %s: %w", r.Kind, r.ID, err)
	}
	m := R(v).meta()
	if string(m.ID) != r.ID {
		return nil, fmt.Errorf("read record of %s %s: it is that of %q: %w", r.Kind, r.ID, m.ID, cas.ErrCorrupt)
	}
	if m.Folder == "" {
		m.Folder = home
	}
	return v, nil
}
