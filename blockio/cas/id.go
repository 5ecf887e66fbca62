package cas

import (
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/blockmill/blockmill/blockio/blake3"
)

// Kinds of objects, the first part of their names in the volume.
const (
	segmentKind  = "segments"
	manifestKind = "manifests"
	recordKind   = "records"
	headerName   = "meta/store"
)

// Ids are 128 random bits, written in lower-case hexadecimal.
type (
	// StoreID names a store; every object carries the id of its store.
	StoreID [16]byte
	// SegmentID names a segment.
	SegmentID [16]byte
	// ManifestID names a manifest.
	ManifestID [16]byte
)

func (id StoreID) String() string    { return hex.EncodeToString(id[:]) }
func (id SegmentID) String() string  { return hex.EncodeToString(id[:]) }
func (id ManifestID) String() string { return hex.EncodeToString(id[:]) }

func (id SegmentID) object() string  { return segmentKind + "/" + id.String() }
func (id ManifestID) object() string { return manifestKind + "/" + id.String() }

// MarshalText writes the id as String does.
func (id ManifestID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (id *ManifestID) UnmarshalText(text []byte) error {
	parsed, err := ParseManifestID(string(text))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}

// ParseManifestID reads the text form of a manifest's id.
func ParseManifestID(s string) (ManifestID, error) {
	id, err := parseID(s)
	if err != nil {
		return ManifestID{}, fmt.Errorf("parse manifest id %q: %w", s, err)
	}
	return ManifestID(id), nil
}

func parseID(s string) (id [16]byte, err error) {
	if len(s) != hex.EncodedLen(len(id)) || strings.ToLower(s) != s {
		return id, fmt.Errorf("want %d lower-case hexadecimal digits", hex.EncodedLen(len(id)))
	}
	_, err = hex.Decode(id[:], []byte(s))
	return id, err
}

// parseObjectID reads the id of an object from its name in the volume.
func parseObjectID(kind, name string) (id [16]byte, err error) {
	rest, ok := strings.CutPrefix(name, kind+"/")
	if !ok {
		return id, fmt.Errorf("object %s is not one of %s", name, kind)
	}
	if id, err = parseID(rest); err != nil {
		return id, fmt.Errorf("object %s: %w", name, err)
	}
	return id, nil
}

// Digest identifies the guest bytes of an image, whatever container or store
// they are in.
type Digest [32]byte

func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// MarshalText writes the digest as String does.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (d *Digest) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(d)) {
		return fmt.Errorf("parse digest %q: want %d hexadecimal digits", text, hex.EncodedLen(len(d)))
	}
	if _, err := hex.Decode(d[:], text); err != nil {
		return fmt.Errorf("parse digest %q: %w", text, err)
	}
	return nil
}

// chunkID identifies a chunk: the BLAKE3 of its raw bytes.
type chunkID [32]byte

func (id chunkID) String() string { return hex.EncodeToString(id[:]) }

// identify computes the identity of bytes, as [windowScratch.chunksOf] does for
// many at a time.
func identify(p []byte) chunkID { return blake3.Sum256(p) }

// idSource draws ids; it is safe for concurrent use.
type idSource struct {
	mu sync.Mutex
	r  io.Reader
}

func (s *idSource) next() (id [16]byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := io.ReadFull(s.r, id[:]); err != nil {
		return id, fmt.Errorf("draw a random id: %w", err)
	}
	return id, nil
}
