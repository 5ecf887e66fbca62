package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// scrubFile is the file in a store's directory that knows of its scrubs. It may
// be deleted: the next scrub begins at the beginning.
const scrubFile = "scrub.json"

// scrubState is what is known of the scrub under way, if one is, and of the last
// one that came to its end.
type scrubState struct {
	// Cursor is the last object of the scrub under way, empty for none.
	Cursor string `json:"cursor,omitempty"`
	// FinishedAt is when the last scrub ended; Unrepaired what that left.
	FinishedAt time.Time `json:"finished_at,omitzero"`
	Unrepaired int64     `json:"unrepaired"`
}

// readScrubState reads the state; what cannot be read is taken for none.
func readScrubState(store string) scrubState {
	var s scrubState
	p, err := os.ReadFile(filepath.Join(store, scrubFile))
	if err != nil || json.Unmarshal(p, &s) != nil {
		return scrubState{}
	}
	return s
}

// write replaces the state in one step. It need not survive a crash: then some
// is scrubbed twice.
func (s scrubState) write(store string) error {
	p, err := json.Marshal(s)
	if err != nil {
		return err
	}
	name := filepath.Join(store, scrubFile)
	err = os.WriteFile(name+".new", append(p, '\n'), 0o600)
	if err == nil {
		err = os.Rename(name+".new", name)
	}
	if err != nil {
		if removeErr := os.Remove(name + ".new"); removeErr != nil && !errors.Is(removeErr, fs.ErrNotExist) {
			return errors.Join(err, removeErr)
		}
	}
	return err
}
