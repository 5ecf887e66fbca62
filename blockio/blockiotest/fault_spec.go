package blockiotest

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Spec is a fault for one shard of a store, or for all.
type Spec struct {
	// Shard is the position of the shard, -1 for all.
	Shard int
	Fault Fault
}

var kindNames = map[string]FaultKind{"error": FaultError, "short": FaultShort, "flip": FaultFlip, "delay": FaultDelay}

var errorNames = map[string]error{"EIO": syscall.EIO, "ENOSPC": syscall.ENOSPC, "EROFS": syscall.EROFS}

// ParseSpec reads a fault of words with a space between them:
//
//	shard=1 ops=write|sync match=segments/ n=5 kind=error err=EIO sticky
//	ops=any n=1 kind=delay delay=10ms sticky
//
// Ops are the names of OpKind, any, or by default all that change something;
// match is a part of the name.
func ParseSpec(text string) (Spec, error) {
	s := Spec{Shard: -1, Fault: Fault{N: 1, Err: syscall.EIO}}
	for word := range strings.FieldsSeq(text) {
		key, value, _ := strings.Cut(word, "=")
		if err := s.set(key, value); err != nil {
			return s, fmt.Errorf("parse fault %q: %s: %w", text, word, err)
		}
	}
	return s, nil
}

func (s *Spec) set(key, value string) (err error) {
	f, ok := &s.Fault, true
	switch key {
	case "shard":
		s.Shard, err = strconv.Atoi(value)
	case "n":
		f.N, err = strconv.Atoi(value)
	case "delay":
		f.Delay, err = time.ParseDuration(value)
	case "kind":
		f.Kind, ok = kindNames[value]
	case "err":
		f.Err, ok = errorNames[value]
	case "ops":
		f.Ops, ok = parseOps(value)
	case "match":
		f.Match = func(op Op) bool { return strings.Contains(op.Name, value) }
	case "sticky":
		f.Sticky = true
	default:
		ok = false
	}
	if !ok {
		return syscall.EINVAL
	}
	return err
}

// parseOps reads what OpKind.String writes.
func parseOps(text string) (kinds OpKind, ok bool) {
	if text == "any" {
		return OpChanges | OpOpen | OpRead | OpList, true
	}
	for name := range strings.SplitSeq(text, "|") {
		found := false
		for i, known := range opNames {
			if name == known {
				kinds, found = kinds|1<<i, true
			}
		}
		if !found {
			return 0, false
		}
	}
	return kinds, true
}
