package scrub

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// stateName is the file in a store's directory that knows of its scrubs. It may
// be deleted.
const stateName = "scrub.json"

// State is what is known of the scrubs of a store.
type State struct {
	// Rows is of the checksums of rows, Chunks of the BLAKE3 of chunks.
	Rows   Cycle `json:"rows"`
	Chunks Cycle `json:"chunks"`
}

// Cycle is what is known of one kind of look at everything.
type Cycle struct {
	// Begun says that one is under way. Cursor is the last object up to which
	// it is done, Left are objects up to that that are damaged.
	Begun  bool     `json:"begun,omitempty"`
	Cursor string   `json:"cursor,omitempty"`
	Left   []string `json:"left,omitempty"`
	// FinishedAt is when the last one came to its end, Unrepaired the damaged
	// places that it left.
	FinishedAt time.Time `json:"finished_at,omitzero"`
	Unrepaired int64     `json:"unrepaired"`
}

// finished ends the cycle.
func (c *Cycle) finished(unrepaired int64) {
	*c = Cycle{FinishedAt: time.Now().UTC().Truncate(time.Second), Unrepaired: unrepaired}
}

// restart forgets the cycle under way.
func (c *Cycle) restart() { c.Begun, c.Cursor, c.Left = false, "", nil }

// ReadState reads the state of the store in a directory; what cannot be read is
// taken for none.
func ReadState(dir string) State {
	var s State
	p, err := os.ReadFile(filepath.Join(dir, stateName))
	if err != nil || json.Unmarshal(p, &s) != nil {
		return State{}
	}
	return s
}

// write replaces the state in one step. It need not survive a power cut: then
// some is scrubbed twice.
func (s State) write(dir string) error {
	p, err := json.Marshal(s)
	if err != nil {
		return err
	}
	name := filepath.Join(dir, stateName)
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
