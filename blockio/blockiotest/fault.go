package blockiotest

import (
	"errors"
	"fmt"
	"syscall"
	"time"
)

// ErrInjected is the error of a Fault that names none.
var ErrInjected = errors.New("injected fault")

// FaultKind says how a call fails.
type FaultKind uint8

const (
	// FaultError makes the call fail and do nothing.
	FaultError FaultKind = iota
	// FaultShort makes a read or write do its first half and fail then.
	FaultShort
	// FaultFlip turns over one bit of what is read or written, silently.
	FaultFlip
	// FaultDelay makes the call wait, and then do what it should.
	FaultDelay
)

// Fault makes one call fail.
type Fault struct {
	// Ops are the kinds of calls that count; zero is OpChanges.
	Ops OpKind
	// Match, if set, says which of them count.
	Match func(Op) bool
	// N is which of them fails, from 1, counted from the injection.
	N    int
	Kind FaultKind
	// Err is the error; nil is ErrInjected. For a full disk: syscall.ENOSPC.
	Err error
	// Sticky makes all later ones fail too.
	Sticky bool
	// Delay is how long FaultDelay waits.
	Delay time.Duration
}

// NoSpace is a Fault like a disk that is full from the nth write on.
func NoSpace(n int) Fault {
	return Fault{Ops: OpCreate | OpWrite | OpTruncate | OpMakeDir, N: n, Err: syscall.ENOSPC, Sticky: true}
}

// faults are faults that were injected and not met, or sticky.
type faults []*Fault

func (fs *faults) inject(f Fault) {
	if f.Ops == 0 {
		f.Ops = OpChanges
	}
	if f.Err == nil {
		f.Err = ErrInjected
	}
	*fs = append(*fs, &f)
}

// strike gives the fault that the call meets, or nil.
func (fs faults) strike(op Op) *Fault {
	var hit *Fault
	for _, f := range fs {
		if f.Ops&op.Kind == 0 || f.Match != nil && !f.Match(op) {
			continue
		}
		f.N--
		if f.N == 0 || f.N < 0 && f.Sticky {
			hit = f
		}
	}
	return hit
}

// Inject adds a fault.
func (v *MemVolume) Inject(f Fault) {
	v.fs.mu.Lock()
	defer v.fs.mu.Unlock()
	v.fs.faults.inject(f)
}

// FailAt makes the nth call from now that changes something fail with err.
func (v *MemVolume) FailAt(n int, err error) { v.Inject(Fault{N: n, Err: err}) }

// ClearFaults takes all faults away.
func (v *MemVolume) ClearFaults() {
	v.fs.mu.Lock()
	defer v.fs.mu.Unlock()
	v.fs.faults = nil
}

// failure is the error of the call, nil when it is to go on.
func (f *Fault) failure(op Op) error {
	if f == nil || f.Kind == FaultFlip || f.Kind == FaultDelay {
		return nil
	}
	return fmt.Errorf("%s %s: %w", op.Kind, op.Name, f.Err)
}

// late waits if the fault is a delay. It is met then: the call goes on without.
func (f *Fault) late() *Fault {
	if f == nil || f.Kind != FaultDelay {
		return f
	}
	timer := time.NewTimer(f.Delay)
	defer timer.Stop()
	<-timer.C
	return nil
}
