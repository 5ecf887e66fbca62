package vmdk

import "sync"

// maxSeen is how many tables' worth of grains are remembered: 16 MiB, those of
// 512 GiB of guest in grains of the usual size.
const maxSeen = 16 << 10

// seenGrains remembers how much of the file compressed grains take, as those
// learnt who decoded them: the check then need not read their markers again.
// Grains for which there is no room are forgotten.
type seenGrains struct {
	limit int // of tables; immutable

	mu     sync.Mutex
	tables map[int64]*[entriesPerTable]uint16 // sectors by grain, 0 when not seen; guarded by mu
}

func newSeenGrains(limit int) *seenGrains {
	return &seenGrains{limit: limit, tables: make(map[int64]*[entriesPerTable]uint16)}
}

// add notes the sectors of a grain whose marker is in order. They fit: of the
// largest grain it may have 2*maxGrain + 1.
func (s *seenGrains) add(g, sectors int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	table := s.tables[g/entriesPerTable]
	if table == nil {
		if len(s.tables) == s.limit {
			return
		}
		table = new([entriesPerTable]uint16)
		s.tables[g/entriesPerTable] = table
	}
	table[g%entriesPerTable] = uint16(sectors)
}

// sectors is what add was told of a grain, 0 when nothing.
func (s *seenGrains) sectors(g int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if table := s.tables[g/entriesPerTable]; table != nil {
		return int64(table[g%entriesPerTable])
	}
	return 0
}
