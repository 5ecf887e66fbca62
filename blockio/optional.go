package blockio

import (
	"context"
	"errors"
	"fmt"
)

// Replacer is a Volume that can put an object in the place of a committed one.
type Replacer interface {
	// Replace starts an object as Create does, but its Commit takes the place
	// of a committed object of the name, if there is one, in one step: after a
	// crash the one or the other is there. What is open stays as it was.
	Replace(ctx context.Context, name string) (Writer, error)
}

// Reserver is a Writer that can take its space ahead.
type Reserver interface {
	// Reserve takes space for about size bytes, as far as that is easily
	// had: writes that come in pieces, several at a time, are faster then.
	// Commit gives back what the object did not need. It comes before the
	// first write.
	Reserve(size int64)
}

// Reserve is w.Reserve, or nothing of a writer that takes its space as it goes.
func Reserve(w Writer, size int64) {
	if r, ok := w.(Reserver); ok {
		r.Reserve(size)
	}
}

// KindLister is a Volume that knows which kinds of objects it holds.
type KindLister interface {
	// Kinds are the kinds of all committed objects, in their order, and
	// perhaps kinds that no longer have any.
	Kinds(ctx context.Context) ([]string, error)
}

// ErrLost says that an object, or a part of it, is gone for good: it is stored
// redundantly, and too little of that is left.
var ErrLost = errors.New("lost")

// ErrDegraded says that a redundant volume refused a change, since too little of
// it is there to hold the change safely.
var ErrDegraded = errors.New("too few shards for a change")

// LossTeller is a Volume that knows of objects that List leaves out, since they
// should be there and cannot be opened.
type LossTeller interface {
	// Lost are the reasons, which match ErrLost, of those objects of a kind
	// that the latest List of it left out.
	Lost(kind string) []error
}

// Lost is v.Lost, or nothing of a volume without redundancy.
func Lost(v Volume, kind string) []error {
	if t, ok := v.(LossTeller); ok {
		return t.Lost(kind)
	}
	return nil
}

// Reconstructor is an Object that is stored redundantly. Its ReadAt trusts what
// it reads; whoever finds that the bytes are not what they should be asks for
// them once more with ReconstructAt, which trusts nothing.
type Reconstructor interface {
	// ReconstructAt is ReadAt that checks all that it reads against stored
	// checksums, and rebuilds what is damaged from the redundancy.
	ReconstructAt(p []byte, off int64) (int, error)
}

// ReconstructAt is o.ReconstructAt, or errors.ErrUnsupported of an object that
// has no redundancy.
func ReconstructAt(o Object, p []byte, off int64) (int, error) {
	if r, ok := o.(Reconstructor); ok {
		return r.ReconstructAt(p, off)
	}
	return 0, fmt.Errorf("reconstruct: %w", errors.ErrUnsupported)
}

// CheckName checks the name of an object and returns its kind; ErrName of a
// name that no volume takes.
func CheckName(name string) (kind string, err error) { return checkName(name) }

// CheckKind checks the name of a kind.
func CheckKind(kind string) error { return checkKindName(kind) }
