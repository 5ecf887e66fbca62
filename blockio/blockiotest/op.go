package blockiotest

import "fmt"

// Op is one call that a volume makes of its file system.
type Op struct {
	Kind OpKind
	// Name is the path that it concerns; of a rename the new one.
	Name string
	// Seq counts the calls that change something, from 1; 0 for the others.
	Seq int
}

func (o Op) String() string { return fmt.Sprintf("%d %s %s", o.Seq, o.Kind, o.Name) }

// OpKind is a set of kinds of calls, one bit each.
type OpKind uint16

// The kinds of calls.
const (
	OpCreate OpKind = 1 << iota
	OpWrite
	OpTruncate
	OpSync // of a file
	OpRename
	OpRemove
	OpMakeDir
	OpSyncDir
	OpOpen
	OpRead
	OpList
	OpSyncAll // of all files and directories

	// OpChanges are all that change something.
	OpChanges = OpCreate | OpWrite | OpTruncate | OpSync | OpRename | OpRemove | OpMakeDir | OpSyncDir | OpSyncAll
)

var opNames = []string{
	"create", "write", "truncate", "sync", "rename", "remove", "mkdir", "syncdir", "open", "read", "list", "syncall",
}

func (k OpKind) String() string {
	s := ""
	for i, name := range opNames {
		if k&(1<<i) != 0 {
			s += "|" + name
		}
	}
	return s[min(1, len(s)):]
}
