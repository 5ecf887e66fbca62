package cas

import "sync"

// memo remembers the results of load for up to most keys; any of them makes room
// for a new one. Two callers that miss one key both load it.
type memo[K comparable, V any] struct {
	most int

	mu   sync.Mutex
	vals map[K]V // guarded by mu
}

func (m *memo[K, V]) get(key K, load func() (V, error)) (V, error) {
	m.mu.Lock()
	v, ok := m.vals[key]
	m.mu.Unlock()
	if ok {
		return v, nil
	}
	v, err := load()
	if err != nil {
		return v, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.vals == nil {
		m.vals = make(map[K]V)
	}
	for old := range m.vals {
		if len(m.vals) < m.most {
			break
		}
		delete(m.vals, old)
	}
	m.vals[key] = v
	return v, nil
}
