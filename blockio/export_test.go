package blockio

// FailSync makes the next sync of the device return err from the kernel.
func (d *Device) FailSync(err error) {
	sync := d.flush
	d.flush = func(int) error {
		d.flush = sync
		return err
	}
}

// Misalign makes the device believe that direct I/O takes any alignment.
func (d *Device) Misalign() { d.align = Alignment{Memory: 1, Offset: 1} }

// ForgetCachestat makes the device believe that the kernel has no cachestat.
func (d *Device) ForgetCachestat() { d.noCachestat.Store(true) }

// Idle is how many bytes the arena keeps for reuse.
func (a *Arena) Idle() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.idle.bytes
}
