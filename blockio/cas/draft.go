package cas

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
)

// Draft is what a store keeps of an image that is not complete: the windows of
// its last checkpoint, and how to go on.
type Draft struct {
	// Name is the caller's, in the form of a record's id.
	Name string
	// Size is the image's virtual size.
	Size int64
	// State is the caller's, from the last checkpoint.
	State []byte
	// Manifests hold the windows, each window in one of them.
	Manifests []ManifestID

	written writeCounts
}

// writeCounts are what an image cost up to a checkpoint.
type writeCounts struct{ newChunks, newBytes, storedBytes int64 }

const (
	// draftKind is the kind of a draft's record. FORMAT.md has the payload.
	draftKind     = "draft"
	draftHeadSize = 32
	maxDraftState = 64 << 10
)

// record makes the record of a draft.
func (d Draft) record() Record {
	p := make([]byte, 0, draftHeadSize+len(d.State))
	for _, n := range []int64{d.Size, d.written.newChunks, d.written.newBytes, d.written.storedBytes} {
		p = binary.LittleEndian.AppendUint64(p, uint64(n))
	}
	return Record{Kind: draftKind, ID: d.Name, Manifests: d.Manifests, Payload: append(p, d.State...)}
}

func parseDraft(r Record) (Draft, error) {
	object := recordName{kind: r.Kind, id: r.ID}.object()
	if len(r.Payload) < draftHeadSize {
		return Draft{}, corrupt(object, 0, "payload of %d bytes, expected at least %d", len(r.Payload), draftHeadSize)
	}
	var n [4]int64
	for i := range n {
		n[i] = int64(binary.LittleEndian.Uint64(r.Payload[8*i:]))
	}
	if err := checkSize(n[0]); err != nil || min(n[1], n[2], n[3]) < 0 {
		return Draft{}, corrupt(object, 0, "payload begins with %v", n)
	}
	return Draft{
		Name: r.ID, Size: n[0], State: r.Payload[draftHeadSize:], Manifests: r.Manifests,
		written: writeCounts{n[1], n[2], n[3]},
	}, nil
}

// Draft reads a draft; ErrNotFound without one.
func (s *Store) Draft(ctx context.Context, name string) (Draft, error) {
	r, err := s.records.get(ctx, recordKey{draftKind, name})
	if err == nil {
		var d Draft
		if d, err = parseDraft(r); err == nil {
			return d, nil
		}
	}
	return Draft{}, fmt.Errorf("read draft %s: %w", name, err)
}

// Drafts reads all drafts. One that cannot be read is yielded as an error with
// its name, and the rest after it.
func (s *Store) Drafts(ctx context.Context) iter.Seq2[Draft, error] {
	return func(yield func(Draft, error) bool) {
		for _, k := range s.records.keys(draftKind) {
			d, err := s.Draft(ctx, k.id)
			if errors.Is(err, ErrNotFound) {
				continue // removed in the meantime
			}
			d.Name = k.id
			if !yield(d, err) {
				return
			}
		}
	}
}

// RemoveDraft removes a draft durably, which gives up what only it holds, and
// does nothing without one. It is called when a record lists the complete image,
// or nobody wants that any more.
func (s *Store) RemoveDraft(ctx context.Context, name string) error {
	s.roots.RLock()
	defer s.roots.RUnlock()
	err := s.records.remove(ctx, recordKey{draftKind, name})
	if err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("remove draft %s: %w", name, err)
	}
	return nil
}
