package provision

import (
	"fmt"
	"slices"
)

// Method says how a disk was made.
type Method string

// The methods.
const (
	// Reflink shares the blocks of the golden base until they are written.
	Reflink Method = "reflink"
	// ReadyMade is a full copy that was made ahead of demand.
	ReadyMade Method = "ready"
	// Overlay is a qcow2 that has what was written, over the golden base.
	Overlay Method = "overlay"
	// Copy is a full copy, made when it was asked for.
	Copy Method = "copy"
	// Lazy is served over NBD: what was not written is read from the store.
	Lazy Method = "lazy"
	// Blank is an empty disk.
	Blank Method = "blank"
)

// Methods lists those that a directory may be told to use for images.
func Methods() []Method { return []Method{Reflink, ReadyMade, Overlay, Copy, Lazy} }

// ParseMethod gives the method of a name.
func ParseMethod(name string) (Method, error) {
	m := Method(name)
	if slices.Contains(Methods(), m) || m == Blank {
		return m, nil
	}
	return "", fmt.Errorf("disk method %q: want one of %v", name, Methods())
}
