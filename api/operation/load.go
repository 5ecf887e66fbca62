package operation

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

// load lists what the database holds. A record that cannot be read is dropped:
// it hides no other.
func (e *Engine) load() error {
	bad := make(change)
	texts := make(map[string]string) // what many have in common is kept once
	share := func(all ...*string) {
		for _, s := range all {
			if texts[*s] == "" {
				texts[*s] = *s
			}
			*s = texts[*s]
		}
	}
	err := e.db.scan(recordKey, func(id string, p []byte) {
		j, op, err := decode(id, p)
		if err != nil {
			e.opts.Logger.Warn("an operation's record cannot be read and is dropped", "operation", id, "reason", err)
			bad[key(recordKey, id)] = nil
			return
		}
		if op.Done {
			j.stage, j.ended = Done, op.ModifiedAt.AsTime()
		} else {
			j.op = op
		}
		share(&j.kind, &j.folder, &j.scope.caller)
		e.list(j)
	})
	for _, kind := range pendingKeys {
		if err != nil {
			break
		}
		err = e.db.scan(kind, func(id string, _ []byte) {
			if j := e.jobs[id]; j == nil || j.stage == Done {
				bad[key(kind, id)] = nil
			} else if kind == cancelKey {
				j.cancelled = true
			} else if kind == sealedKey {
				j.sealed = true
			}
		})
	}
	if err == nil && len(bad) > 0 {
		err = e.db.write(bad)
	}
	if err == nil {
		err = e.secrets.sweep(func(id string) bool { j := e.jobs[id]; return j != nil && j.sealed })
	}
	if err == nil {
		e.pruned, err = e.readTime(prunedKey)
	}
	if err != nil {
		return fmt.Errorf("read operations: %w", err)
	}
	e.history.sort()
	return nil
}

// list makes a job known. The caller holds mu, or is the only one yet.
func (e *Engine) list(j *job) {
	e.jobs[j.id] = j
	e.folders.add(j.folder, j)
	e.resources.add(j.resource, j)
	if j.scope.key != "" {
		e.keys[j.scope] = j
	}
	e.seq = max(e.seq, j.seq)
	if j.stage == Done {
		e.history.push(j)
	}
}

// unlist forgets a job. The caller holds mu.
func (e *Engine) unlist(j *job) {
	delete(e.jobs, j.id)
	e.folders.remove(j.folder, j)
	e.resources.remove(j.resource, j)
	if e.keys[j.scope] == j {
		delete(e.keys, j.scope)
	}
}

// restoreAll queues what waits from before, in its order.
func (e *Engine) restoreAll(ctx context.Context) error {
	var pending []*job
	e.mu.Lock()
	for _, j := range e.jobs {
		if j.stage != Done && (j.restored || j.kept) { // others are queued
			pending = append(pending, j)
		}
	}
	e.mu.Unlock()
	slices.SortFunc(pending, func(a, b *job) int { return cmp.Compare(a.seq, b.seq) })
	for _, j := range pending {
		if err := ctx.Err(); err != nil {
			return err
		}
		e.restoreOne(ctx, j)
	}
	if len(pending) > 0 {
		e.opts.Logger.Info("operations go on", "count", len(pending))
	}
	return nil
}

// restoreOne queues a job from before, or ends it.
func (e *Engine) restoreOne(ctx context.Context, j *job) {
	h := e.handlers[j.kind]
	if h == nil {
		e.finish(j, nil, fmt.Errorf("nothing carries out operations of kind %q", j.kind))
		return
	}
	r, err := e.running(j)
	switch {
	case err != nil:
		abandon(ctx, h, r)
		e.finish(j, nil, err)
	case j.cancelled:
		abandon(ctx, h, r)
		e.finish(j, nil, ErrCancelled)
	default:
		if err := restore(ctx, h, r); err != nil {
			abandon(ctx, h, r)
			e.finish(j, nil, err)
			return
		}
		if j.kept {
			e.redo(j)
			return
		}
		e.mu.Lock()
		e.queue.push(j)
		e.mu.Unlock()
		e.opts.Metrics.queued(j.kind, 1)
	}
}

// running reads what a handler needs of a job. After an error it has what
// Abandon needs.
func (e *Engine) running(j *job) (*Running, error) {
	r := &Running{engine: e, job: j}
	for _, part := range []struct {
		kind byte
		into *[]byte
	}{{requestKey, &r.request}, {privateKey, &r.private}} {
		p, err := e.read(part.kind, j.id)
		if err != nil {
			return r, fmt.Errorf("read operation %s: %w", j.id, err)
		}
		*part.into = p
	}
	if !j.sealed {
		return r, nil
	}
	sealed, err := e.read(sealedKey, j.id)
	if err == nil {
		r.request, r.private, err = e.secrets.unseal(j.id, sealed)
	}
	if err != nil {
		return r, fmt.Errorf("read operation %s: %w", j.id, err)
	}
	return r, nil
}
