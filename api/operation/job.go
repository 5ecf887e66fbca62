package operation

import (
	"container/list"
	"context"
	"crypto/rand"
	"strings"
	"sync/atomic"
	"time"

	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
)

// Stage says where an operation is.
type Stage int

// The stages.
const (
	Queued Stage = iota
	// Active means in its handler's hands, or being undone.
	Active
	Done
)

func (s Stage) String() string { return [...]string{"queued", "active", "done"}[s] }

// job is an operation as the engine holds it in memory, ended ones included.
type job struct {
	// Immutable once it is listed.
	id       string
	seq      uint64
	kind     string
	folder   string
	resource string
	scope    keyScope
	digest   [32]byte
	created  time.Time
	restored bool // it was found in the database
	kept     bool // it was found in what it made, by Recover
	sealed   bool // it has a key

	done, total atomic.Int64

	// Guarded by Engine.mu.
	stage     Stage
	op        *opb.Operation // nil: it is done, and in the database
	ended     time.Time
	cancelled bool
	cancel    context.CancelCauseFunc // of the handler's context, when Active
	place     *list.Element           // in the queue, when Queued
	watchers  int
	changed   chan struct{} // closed at the next change; nil: nobody waits for it
}

// newID makes an id: 20 lower-case letters and digits, random.
func newID() string { return strings.ToLower(rand.Text())[:20] }

// Info is what an operation is about, for those who decide who may see it.
type Info struct {
	Kind, Folder, ResourceID, CreatedBy string
	Stage                               Stage
}

// infoLocked describes a job. The caller holds mu.
func (j *job) infoLocked() Info {
	return Info{j.kind, j.folder, j.resource, j.scope.caller, j.stage}
}
