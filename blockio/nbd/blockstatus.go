package nbd

import (
	"encoding/binary"

	"github.com/blockmill/blockmill/blockio"
)

// maxExtents bounds the extents of one answer; a client asks on for the rest.
const maxExtents = 8 << 10

// blockStatus tells what the device knows of a range without reading it.
func (t *transmission) blockStatus(r request) {
	p := &reply{done: func() { t.retire(r) }}
	err := t.atDevice(func() (err error) {
		p.body, err = t.extents(r)
		return err
	})
	if err != nil {
		t.finish(r, err)
		return
	}
	p.headLen = putChunk(p.head[:], r.cookie, chunkDone, chunkBlockStatus, len(p.body))
	t.count(r, nil)
	t.out.send(p)
}

// extents is the payload of the answer: neighbours of one status are one.
func (t *transmission) extents(r request) ([]byte, error) {
	p := binary.BigEndian.AppendUint32(nil, allocationID)
	const first = 4
	for e, err := range t.dev.mapper.Extents(t.life, int64(r.off), int64(r.n)) {
		if err != nil {
			return nil, err
		}
		status := statusOf(e.State)
		if last := len(p) - 8; last >= first && binary.BigEndian.Uint32(p[last+4:]) == status {
			binary.BigEndian.PutUint32(p[last:], binary.BigEndian.Uint32(p[last:])+uint32(e.Length))
			continue
		}
		if len(p) == first+8*maxExtents || len(p) > first && r.flags&reqOne != 0 {
			break
		}
		p = binary.BigEndian.AppendUint32(p, uint32(e.Length))
		p = binary.BigEndian.AppendUint32(p, status)
	}
	return p, nil
}

func statusOf(s blockio.State) uint32 {
	switch s {
	case blockio.Hole:
		return statusHole | statusZero
	case blockio.Zero:
		return statusZero
	}
	return 0
}
