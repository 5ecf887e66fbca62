package blockio

// idleMemory is what an arena keeps for reuse. It is apart from the arena, whose
// end it outlives: the collector does not see mapped memory, so that has to be
// given back when nobody has the arena any more.
type idleMemory struct {
	bytes int64
	free  [maxClass][][]byte
}

// take takes memory of a class; nil when there is none.
func (m *idleMemory) take(class int) []byte {
	k := len(m.free[class])
	if k == 0 {
		return nil
	}
	mem := m.free[class][k-1]
	m.free[class] = m.free[class][:k-1]
	m.bytes -= int64(len(mem))
	return mem
}

func (m *idleMemory) add(class int, mem []byte) {
	m.free[class] = append(m.free[class], mem)
	m.bytes += int64(len(mem))
}

// shrink cuts the memory down to most bytes and returns what is to be unmapped,
// the largest classes first.
func (m *idleMemory) shrink(most int64) [][]byte {
	var out [][]byte
	for class := maxClass - 1; class >= 0 && m.bytes > most; class-- {
		for len(m.free[class]) > 0 && m.bytes > most {
			out = append(out, m.take(class))
		}
	}
	return out
}
