package stripe

import (
	"slices"
	"strings"
	"sync"
)

// losses are the objects that List left out.
type losses struct {
	mu     sync.Mutex
	byKind map[string][]error // guarded by mu
}

// begin forgets what the last List of a kind left out.
func (l *losses) begin(kind string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.byKind, kind)
}

func (l *losses) add(name string, err error) {
	kind, _, _ := strings.Cut(name, "/")
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byKind == nil {
		l.byKind = map[string][]error{}
	}
	l.byKind[kind] = append(l.byKind[kind], err)
}

// Lost implements blockio.LossTeller. While shards are missing, what a crash
// left of a write cannot be told from an object that is lost, and is here too.
func (v *Volume) Lost(kind string) []error {
	v.losses.mu.Lock()
	defer v.losses.mu.Unlock()
	return slices.Clone(v.losses.byKind[kind])
}
