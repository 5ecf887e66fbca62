package operation

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
)

// maxSubmission bounds what is kept in the things that operations make, in bytes;
// a longer one goes into the database.
const maxSubmission = 16 << 10

// submission is an operation as it was submitted, kept outside of the database.
type submission struct {
	ID      string          `json:"id"`
	Record  json.RawMessage `json:"record"`
	Request []byte          `json:"request,omitempty"`
	Private []byte          `json:"private,omitempty"`
}

// encodeSubmission gives nil for one that is too long to keep.
func encodeSubmission(id string, record, request, private []byte) []byte {
	p, err := json.Marshal(submission{id, record, request, private})
	if err != nil || len(p) > maxSubmission {
		return nil
	}
	return p
}

func decodeSubmission(p []byte) (s submission, j *job, op *opb.Operation, err error) {
	if err := json.Unmarshal(p, &s); err != nil {
		return s, nil, nil, fmt.Errorf("read submission: %w", err)
	}
	j, op, err = decode(s.ID, s.Record)
	return s, j, op, err
}

// Submission is the operation as it was submitted, for a handler to keep with what
// it makes (Spec.Kept); nil when there is no need to.
func (r *Running) Submission() []byte { return r.submission }

// Recover takes back the operations among those that handlers have kept which a
// crash has taken from the database. They may have been answered as done, so Start
// runs them again before it returns. Call Recover between Open and Start. A submission that cannot be read is passed over.
func (e *Engine) Recover(submissions [][]byte) error {
	c := make(change)
	count := 0
	for _, p := range submissions {
		s, j, op, err := decodeSubmission(p)
		if err != nil {
			e.opts.Logger.Warn("a kept operation cannot be read", "reason", err)
			continue
		}
		if e.jobs[j.id] != nil || !j.created.After(e.pruned) {
			continue
		}
		j.op, j.kept = op, true
		e.list(j)
		count++
		c.set(recordKey, j.id, s.Record)
		c.set(requestKey, j.id, s.Request)
		c.set(privateKey, j.id, s.Private)
		if c.size() < groupSize {
			continue
		}
		if err := e.write(c); err != nil {
			return fmt.Errorf("recover operations: %w", err)
		}
		c = make(change)
	}
	if count > 0 {
		e.opts.Logger.Info("operations were found in what they made", "count", count)
	}
	if err := e.write(c); err != nil {
		return fmt.Errorf("recover operations: %w", err)
	}
	return nil
}

// redo carries a recovered job out at once.
func (e *Engine) redo(j *job) {
	ctx, cancel := context.WithCancelCause(e.base)
	defer cancel(nil)
	e.mu.Lock()
	j.stage, j.cancel = Active, cancel
	e.mu.Unlock()
	e.opts.Metrics.active(j.kind, 1)
	e.carryOut(ctx, j)
	e.opts.Metrics.active(j.kind, -1)
}

// encodeTime gives nanoseconds since 1970, big endian.
func encodeTime(t time.Time) []byte { return binary.BigEndian.AppendUint64(nil, uint64(t.UnixNano())) }

// readTime gives the zero time when there is none.
func (e *Engine) readTime(kind byte) (time.Time, error) {
	p, err := e.read(kind, "")
	if err != nil || len(p) != 8 {
		return time.Time{}, err
	}
	return time.Unix(0, int64(binary.BigEndian.Uint64(p))), nil
}
