package blockio

import "sync"

// nameLocks are locks by name; the zero value works.
type nameLocks struct {
	mu    sync.Mutex
	names map[string]*nameLock // those that somebody holds or waits for; guarded by mu
}

type nameLock struct {
	users int // guarded by the locks' mu
	mu    sync.Mutex
}

// lock locks a name, and gives what unlocks it.
func (l *nameLocks) lock(name string) (unlock func()) {
	l.mu.Lock()
	n, ok := l.names[name]
	if !ok {
		n = &nameLock{}
		if l.names == nil {
			l.names = map[string]*nameLock{}
		}
		l.names[name] = n
	}
	n.users++
	l.mu.Unlock()
	n.mu.Lock()
	return func() {
		n.mu.Unlock()
		l.mu.Lock()
		defer l.mu.Unlock()
		if n.users--; n.users == 0 {
			delete(l.names, name)
		}
	}
}
