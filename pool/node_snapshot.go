package pool

import (
	"context"
	"iter"
)

// ReserveSnapshot lists a snapshot that is about to be made of its SourceDisk,
// as ReserveImage does with images.
func (n *Node) ReserveSnapshot(s Snapshot) (Snapshot, error) {
	if have, err := n.snapshots.get(s.ID); err == nil && have.Operation == s.Operation && s.Operation != "" {
		return have, nil
	}
	d, err := n.readyDisk(s.SourceDisk)
	if err != nil {
		return s, err
	}
	s.Heritage = s.Heritage.inherit(d.Heritage)
	s.VirtualSize = d.Size
	if s.ID == "" {
		s.ID = newID[SnapshotID]()
	}
	if s.CreatedAt.IsZero() {
		s.CreatedAt = n.now()
	}
	if s.Folder == "" {
		s.Folder = n.opts.DefaultFolder
	}
	return n.snapshots.reserve(s)
}

// ReleaseSnapshot gives up a snapshot that was reserved and not made.
func (n *Node) ReleaseSnapshot(id SnapshotID) { n.snapshots.release(id) }

func (n *Node) readySnapshot(id SnapshotID) (Snapshot, error) {
	s, err := n.snapshots.get(id)
	return s, checkReady(snapshotKind, string(id), s.Status, err)
}

// Snapshot gives the snapshot of an id.
func (n *Node) Snapshot(id SnapshotID) (Snapshot, error) { return n.snapshots.get(id) }

// Snapshots lists snapshots.
func (n *Node) Snapshots(q Query) iter.Seq[Snapshot] { return n.snapshots.list(q) }

// Edit says what becomes of a snapshot or disk; what is nil stays.
type Edit struct {
	Name, Description *string
	Labels            *map[string]string
	// Bindings makes the new bindings of the old ones, which it leaves alone.
	Bindings func([]Binding) []Binding
}

// UpdateSnapshot changes what is known of a snapshot.
func (n *Node) UpdateSnapshot(ctx context.Context, id SnapshotID, e Edit) (Snapshot, error) {
	return n.snapshots.change(ctx, id, func(s *Snapshot) error {
		edit(&s.Meta, e)
		return nil
	})
}

func edit[I ~string](m *Meta[I], e Edit) {
	set(&m.Name, e.Name)
	set(&m.Description, e.Description)
	set(&m.Labels, e.Labels)
	if e.Bindings != nil {
		m.Bindings = e.Bindings(m.Bindings)
	}
}

// CheckSnapshot says what UpdateSnapshot would say against an edit, as far as
// that can be said beforehand.
func (n *Node) CheckSnapshot(id SnapshotID, e Edit) error {
	return n.snapshots.check(id, func(s *Snapshot) error {
		edit(&s.Meta, e)
		return nil
	})
}

// DeleteSnapshot removes a snapshot. What was made from it is left as it is.
func (n *Node) DeleteSnapshot(ctx context.Context, id SnapshotID) error {
	return n.snapshots.remove(ctx, id, func(s Snapshot) error {
		n.dropBase(s.Manifest)
		return nil
	})
}
