package operation

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
)

// Query says which operations to list: those of a resource, or without one those
// of a folder.
type Query struct {
	Folder, ResourceID string
	// Size is at most how many, by default 100; Token the place to go on from,
	// empty at the beginning.
	Size  int
	Token string
	// Pending leaves out those that are done.
	Pending bool
}

// List gives operations, the newest first, and the token of the next page, empty
// after the last. ErrPageToken.
func (e *Engine) List(q Query) (page []*opb.Operation, next string, err error) {
	before := uint64(math.MaxUint64)
	if q.Token != "" {
		if before, err = strconv.ParseUint(q.Token, 36, 64); err != nil {
			return nil, "", fmt.Errorf("%w: %q", ErrPageToken, q.Token)
		}
	}
	if q.Size <= 0 {
		q.Size = 100
	}
	e.mu.Lock()
	var found []*job
	if q.ResourceID != "" {
		found = e.resources.before(q.ResourceID, before, q.Size+1, q.Pending)
	} else {
		found = e.folders.before(q.Folder, before, q.Size+1, q.Pending)
	}
	e.mu.Unlock()
	if len(found) > q.Size {
		found = found[:q.Size]
		next = strconv.FormatUint(found[q.Size-1].seq, 36)
	}
	for _, j := range found {
		op, err := e.operation(j)
		if errors.Is(err, ErrNotFound) {
			continue // pruned meanwhile
		}
		if err != nil {
			return nil, "", err
		}
		page = append(page, op)
	}
	return page, next, nil
}
