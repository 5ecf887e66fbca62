package vmdk

import "context"

// Check checks the metadata of the whole image. It may run beside reading.
func (img *Image) Check(ctx context.Context) error {
	for _, e := range img.extents {
		if err := e.check(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (f *flat) check(ctx context.Context) error { return ctx.Err() }

func (s *sparse) check(ctx context.Context) error {
	return s.walk(ctx, s.gd, 0, s.h.tables(), func(run tableRun) error {
		if run.entries == nil {
			return nil
		}
		return s.checkGrains(run.index*entriesPerTable, int64(run.sector)*sectorSize, run.entries)
	})
}
