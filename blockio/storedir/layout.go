package storedir

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/stripe"
)

// layoutName is the file of the description: a line with the format's version
// and the xxh64 of all bytes after it, and a JSON object.
const (
	layoutName    = "layout"
	layoutVersion = 1
	layoutHead    = "blockmill layout %d %016x"
	maxLayout     = 1 << 20
)

// Layout describes the shards of a store.
type Layout struct {
	Set          stripe.SetID
	Data, Parity int
	// Unit is the bytes of a full row on one shard.
	Unit int
	// Shards are their directories by position, those inside the store's own
	// relative to it; one that is not known is empty.
	Shards []string
	// SharedDevices allows shards on one device.
	SharedDevices bool
}

// layoutBody is the JSON of a layout.
type layoutBody struct {
	Set           string   `json:"set"`
	Data          int      `json:"data"`
	Parity        int      `json:"parity"`
	Unit          int      `json:"unit"`
	Shards        []string `json:"shards"`
	SharedDevices bool     `json:"shared_devices,omitempty"`
}

func (l Layout) encode() ([]byte, error) {
	body, err := json.MarshalIndent(layoutBody{
		Set: l.Set.String(), Data: l.Data, Parity: l.Parity, Unit: l.Unit, Shards: l.Shards, SharedDevices: l.SharedDevices,
	}, "", "  ")
	if err != nil {
		return nil, err
	}
	body = append(body, '\n')
	return append(fmt.Appendf(nil, layoutHead+"\n", layoutVersion, xxhash.Sum64(body)), body...), nil
}

// parseLayout reads a description. The checksum is checked first, so that damage
// is not taken for a version.
func parseLayout(p []byte) (Layout, error) {
	head, body, _ := bytes.Cut(p, []byte("\n"))
	var version int
	var sum uint64
	if _, err := fmt.Sscanf(string(head), layoutHead, &version, &sum); err != nil {
		return Layout{}, fmt.Errorf("layout begins with %.40q: %w", head, ErrCorrupt)
	}
	if got := xxhash.Sum64(body); got != sum {
		return Layout{}, fmt.Errorf("layout has checksum %016x, expected %016x: %w", got, sum, ErrCorrupt)
	}
	if version != layoutVersion {
		return Layout{}, fmt.Errorf("layout has version %d, this program knows %d: %w", version, layoutVersion, stripe.ErrNewerVersion)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	var b layoutBody
	if err := dec.Decode(&b); err != nil {
		return Layout{}, fmt.Errorf("layout: %w: %w", ErrCorrupt, err)
	}
	l := Layout{Data: b.Data, Parity: b.Parity, Unit: b.Unit, Shards: b.Shards, SharedDevices: b.SharedDevices}
	if n, err := hex.Decode(l.Set[:], []byte(b.Set)); len(b.Set) != 2*len(l.Set) || err != nil || n != len(l.Set) {
		return Layout{}, fmt.Errorf("layout: set %q: %w", b.Set, ErrCorrupt)
	}
	if l.Data < 1 || l.Parity < 0 || len(l.Shards) != l.Data+l.Parity {
		return Layout{}, fmt.Errorf("layout: %d shards for %d+%d: %w", len(l.Shards), l.Data, l.Parity, ErrCorrupt)
	}
	return l, nil
}

// readLayout reads the description in a directory; ErrNoStore without one.
func readLayout(dir string) (Layout, error) {
	name := filepath.Join(dir, layoutName)
	st, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Layout{}, ErrNoStore
	case err != nil:
		return Layout{}, err
	case st.Size() > maxLayout:
		return Layout{}, fmt.Errorf("layout of %d bytes: %w", st.Size(), ErrCorrupt)
	}
	p, err := os.ReadFile(name)
	if err != nil {
		return Layout{}, err
	}
	return parseLayout(p)
}

// writeLayout puts a description in the place of the one there, if any, in one
// durable step.
func writeLayout(dir string, l Layout) error {
	p, err := l.encode()
	if err != nil {
		return err
	}
	name := filepath.Join(dir, layoutName)
	f, err := os.OpenFile(name+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(p)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(name+".new", name); err != nil {
		return err
	}
	return blockio.SyncPath(dir)
}

// keep is a shard's path as the layout of a directory has it.
func keep(dir, shard string) (string, error) {
	base, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if shard, err = filepath.Abs(shard); err != nil {
		return "", err
	}
	rel, err := filepath.Rel(base, shard)
	if err == nil && rel != "." && rel != ".." && !strings.HasPrefix(rel, "../") {
		return rel, nil
	}
	return shard, nil
}

// locate is the path of a shard that keep made.
func locate(dir, kept string) string {
	if kept == "" || filepath.IsAbs(kept) {
		return kept
	}
	return filepath.Join(dir, kept)
}
