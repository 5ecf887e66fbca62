package blockio

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"time"
)

// Replay is what an open did again, since the journal of an earlier process, which
// was not closed, promised it.
type Replay struct {
	// Entries are all that the journal had, Objects those of them that were made
	// again, of Bytes in all, and Removals those that were removed, if they were
	// still there. Later entries of an object make earlier ones void.
	Entries, Objects, Removals int
	Bytes                      int64
	// Took is the time until all of it was durable.
	Took time.Duration
}

// Replayed is what the open found in a journal; false without one.
func (v *DirVolume) Replayed() (Replay, bool) {
	if v.replay == nil {
		return Replay{}, false
	}
	return *v.replay, true
}

// replayJournal does again what the journal of an earlier process promised, nil when
// that left none. Names are not durable before the caller has synced their
// directories.
func (v *DirVolume) replayJournal() (*Replay, error) {
	entries, err := readJournal(v.fsys)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	done := &Replay{Entries: len(entries)}
	latest := map[string]int{}
	for i, e := range entries {
		latest[e.name] = i
	}
	for i, e := range entries {
		if latest[e.name] != i {
			continue
		}
		switch e.kind {
		case entryPut:
			err = v.restore(e)
			done.Objects++
			done.Bytes += int64(len(e.data))
		case entryRemove:
			done.Removals++
			if err = v.fsys.RemoveFile(e.name); errors.Is(err, fs.ErrNotExist) {
				err = nil
			}
		case entryKeep:
		}
		if err != nil {
			return nil, fmt.Errorf("replay journal: %s: %w", e.name, err)
		}
	}
	return done, nil
}

// restore puts an object in its place.
func (v *DirVolume) restore(e journalEntry) error {
	kind, err := checkName(e.name)
	if err != nil {
		return err
	}
	if err := v.fsys.MakeDir(kind); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	tmp := path.Join(tmpKind, "restored")
	f, err := v.fsys.CreateFile(tmp)
	if err != nil {
		return err
	}
	if len(e.data) > 0 {
		_, err = f.WriteAt(e.data, 0)
	}
	if err == nil {
		err = f.Truncate(int64(len(e.data)))
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return v.fsys.Replace(tmp, e.name)
}

// readJournal reads the entries of both halves in their order. A half ends where
// no whole entry of its generation follows the last.
func readJournal(fsys FileSystem) (entries []journalEntry, err error) {
	o, err := fsys.OpenFile(journalName)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	type placed struct {
		journalEntry
		entryPlace
	}
	var found []placed
	half := o.Size() / 2
	for start := int64(0); start < 2*half; start += half {
		p := make([]byte, half)
		if n, err := o.ReadAt(p, start); n < len(p) && !errors.Is(err, io.EOF) {
			return nil, err
		}
		var last entryPlace
		for {
			e, at, ok := parseEntry(p)
			if !ok || last.sequence != 0 && at != (entryPlace{last.generation, last.sequence + 1}) {
				break
			}
			found = append(found, placed{e, at})
			last = at
			p = p[min(len(p), entrySize(e.name, e.data)):]
		}
	}
	slices.SortFunc(found, func(a, b placed) int { return cmp.Compare(a.sequence, b.sequence) })
	for _, f := range found {
		entries = append(entries, f.journalEntry)
	}
	return entries, nil
}
