package stripe

import "sync"

// nameTable keeps those apart who change the same name at the same time.
type nameTable struct {
	mu sync.Mutex
	m  map[string]*nameState
}

// nameState is what the present users of a name share.
type nameState struct {
	name  string
	table *nameTable
	users int // guarded by the table's mu

	// The lock is held while the object is committed, removed or replaced.
	sync.Mutex
	taken    bool // a user committed the object, and it was not removed since
	removals int  // while there were users
}

// hold joins the users of a name; the caller ends it with drop.
func (t *nameTable) hold(name string) *nameState {
	t.mu.Lock()
	defer t.mu.Unlock()
	st := t.m[name]
	if st == nil {
		if t.m == nil {
			t.m = map[string]*nameState{}
		}
		st = &nameState{name: name, table: t}
		t.m[name] = st
	}
	st.users++
	return st
}

func (st *nameState) drop() {
	st.table.mu.Lock()
	defer st.table.mu.Unlock()
	if st.users--; st.users == 0 {
		delete(st.table.m, st.name)
	}
}
