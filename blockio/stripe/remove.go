package stripe

import (
	"context"
	"errors"
	"fmt"

	"github.com/blockmill/blockmill/blockio"
)

// Remove implements blockio.Volume. A member that cannot remove its shard is
// left behind: it is no longer in sync before Remove returns, so what it still
// holds does not come back.
func (v *Volume) Remove(ctx context.Context, name string) error {
	if err := v.remove(ctx, name); err != nil {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	return nil
}

func (v *Volume) remove(ctx context.Context, name string) error {
	if _, err := blockio.CheckName(name); err != nil {
		return err
	}
	if reserved(name) {
		return blockio.ErrNotFound
	}
	if err := v.beginChange(ctx); err != nil {
		return err
	}
	st := v.names.hold(name)
	defer st.drop()
	st.Lock()
	defer st.Unlock()
	return v.removeAll(ctx, st)
}

// removeAll removes all that the present members have of a name. The caller
// holds the name's lock.
func (v *Volume) removeAll(ctx context.Context, st *nameState) error {
	errs := make([]error, len(v.members))
	each(v.members, nil, func(m *member) {
		errs[m.index] = m.note(m.vol.Remove(context.WithoutCancel(ctx), st.name))
	})
	var lagging memberSet
	removed, lacking := 0, 0
	var failed []error
	for i, m := range v.members {
		switch err := errs[i]; {
		case !m.present() || errors.Is(err, blockio.ErrNotFound):
			lacking++
		case err == nil:
			removed++
		default:
			lagging.add(i)
			m.missed.Add(1)
			failed = append(failed, err)
		}
	}
	if removed == 0 {
		if len(failed) > 0 {
			return errors.Join(failed...)
		}
		return blockio.ErrNotFound
	}
	st.taken = false
	st.removals++
	v.queue.remove(st.name)
	if len(failed) == 0 {
		return nil
	}
	if err := v.exclude(context.WithoutCancel(ctx), lagging); err != nil {
		return errors.Join(append(failed, err)...)
	}
	return nil
}
