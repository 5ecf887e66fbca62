package nbd

import "encoding/binary"

// metaContexts answers optListMeta and optSetMeta. The one context there is
// belongs to exports whose device has a map.
func (h *handshake) metaContexts(opt option, data []byte) error {
	if opt == optSetMeta {
		h.meta = nil
	}
	if !h.structured {
		return h.refuse(opt, repErrInvalid, "contexts need structured replies")
	}
	name, queries, ok := parseQueries(data)
	if !ok {
		return h.refuse(opt, repErrInvalid, "the option's lengths do not add up")
	}
	e, err := h.open(name)
	if err != nil {
		return h.refuseOpen(opt, err)
	}
	mapped := newDevice(e).mapper != nil
	if err := e.close(); err != nil {
		return err
	}
	if mapped && wantsAllocation(opt, queries) {
		if opt == optSetMeta {
			h.meta = &name
		}
		p := binary.BigEndian.AppendUint32(nil, allocationID)
		if err := h.reply(opt, repMetaContext, append(p, baseAllocation...)); err != nil {
			return err
		}
	}
	return h.reply(opt, repAck, nil)
}

// wantsAllocation says whether one of the queries names the context. To list,
// no query at all or a bare namespace asks for everything.
func wantsAllocation(opt option, queries []string) bool {
	if opt == optListMeta && len(queries) == 0 {
		return true
	}
	for _, q := range queries {
		if q == baseAllocation || opt == optListMeta && q == "base:" {
			return true
		}
	}
	return false
}

func parseQueries(data []byte) (name string, queries []string, ok bool) {
	name, rest, ok := cutString(data)
	if !ok || len(rest) < 4 {
		return "", nil, false
	}
	n := binary.BigEndian.Uint32(rest)
	rest = rest[4:]
	for ; n > 0; n-- {
		var q string
		if q, rest, ok = cutString(rest); !ok {
			return "", nil, false
		}
		queries = append(queries, q)
	}
	return name, queries, len(rest) == 0
}
