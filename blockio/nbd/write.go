package nbd

// inlineWrite is the largest write that the reading goroutine tries to make
// itself, which has room for it in its buffer.
const inlineWrite = readBuffer / 2

// writeInline makes a small write that needs no waiting, and says whether it
// did; if not, its payload is still to be read.
func (t *transmission) writeInline(r request) (bool, error) {
	ready := t.export.BeginWrite == nil || t.begun.Load()
	if t.dev.quick == nil || r.n > inlineWrite || r.fua() || !ready {
		return false, nil
	}
	if !t.in.holds(int(r.n)) {
		t.flush()
	}
	p, err := t.in.gather(int(r.n))
	if err != nil {
		return false, err
	}
	done, err := t.dev.quick.WriteNoWait(p, int64(r.off))
	if !done && err == nil {
		return false, nil
	}
	t.in.drop(int(r.n))
	t.answer(r, err)
	return true, nil
}
