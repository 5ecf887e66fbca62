package nbd

import (
	"context"
	"errors"
	"io"

	"github.com/blockmill/blockmill/blockio"
)

// Errors of [Exports]; test with errors.Is.
var (
	// ErrNotFound says that there is no export of the name, or none that the
	// client may know of.
	ErrNotFound = errors.New("no such export")
	// ErrBusy says that the export cannot be opened or changed now, since
	// someone else has it.
	ErrBusy = errors.New("export is in use")
)

// Exports is what a server offers. Its methods are called concurrently.
type Exports interface {
	// List tells the exports that a client may see.
	List(ctx context.Context, who Identity) ([]Listing, error)
	// Open opens an export; ErrNotFound without one. An empty name asks for
	// the default. Every connection opens for itself, and the server closes
	// what it was given.
	Open(ctx context.Context, name string, who Identity) (*Export, error)
}

// Listing is an entry of the list of exports.
type Listing struct{ Name, Description string }

// Export is an open export.
type Export struct {
	Listing
	Device   Device
	ReadOnly bool
	// Size is the export's in bytes; 0 is the device's own. What lies beyond
	// the device's is an error to read.
	Size int64
	// PreferredBlock is the size in bytes of the requests that the device
	// likes, a power of two; 0 is 4 KiB.
	PreferredBlock int
	// BeginWrite, if set, is called before the first change that a connection
	// makes. Until it returns nil, changes are refused with its error.
	BeginWrite func(context.Context) error
	// Close, if set, ends the use of the export. No call of the device is under
	// way then.
	Close func() error
}

func (e *Export) close() error {
	if e.Close == nil {
		return nil
	}
	return e.Close()
}

// Device is the bytes of an export. Its methods are called concurrently, also
// for ranges that overlap when a client asks for that. Size is asked for once,
// when a connection opens the export.
//
// Its other abilities are optional: blockio.Mapper, [Writer], [Puncher],
// [Zeroer], [Prefetcher], [NoWaitReader], [NoWaitWriter] and [Sender]. A
// blockio.Device has all of them.
type Device interface {
	io.ReaderAt
	Size() int64
}

// Writer is a Device that can be written to.
type Writer interface {
	io.WriterAt
	// Sync makes all that was written, punched and zeroed durable.
	Sync() error
}

// Puncher is a Device that can give space back.
type Puncher interface {
	// PunchHole makes a range read as zeros and gives its space back;
	// errors.ErrUnsupported when it cannot.
	PunchHole(off, n int64) error
}

// Zeroer is a Device that can zero without being sent the zeros.
type Zeroer interface {
	// ZeroRange makes a range read as zeros and keeps its space;
	// errors.ErrUnsupported when it cannot.
	ZeroRange(off, n int64) error
}

// Prefetcher is a Device that can be told what will be read soon.
type Prefetcher interface {
	Prefetch(off, n int64) error
}

// NoWaitReader is a Device that knows which reads need no waiting.
type NoWaitReader interface {
	// ReadNoWait reads all of p if that takes neither a wait nor much work, and
	// says whether it did.
	ReadNoWait(p []byte, off int64) bool
}

// NoWaitWriter is a Device that knows which writes need no waiting.
type NoWaitWriter interface {
	// WriteNoWait writes all of p if that takes neither a wait nor much work,
	// and says whether it did; after false and nil nothing was written.
	WriteNoWait(p []byte, off int64) (bool, error)
}

// Sender is a Device that can hand bytes to a socket without a copy.
type Sender interface {
	// Resident says whether SendTo of the range would find it in memory.
	Resident(off, n int64) bool
	// SendTo moves up to n bytes to a socket that does not block, and says how
	// many it moved; unix.EAGAIN when the socket is full, 0 and nil when the
	// device ends before.
	SendTo(socket int, off, n int64) (int64, error)
}

// device is a Device and its abilities, those that it lacks nil.
type device struct {
	Device
	size   int64
	mapper blockio.Mapper
	writer Writer // nil too when the export is read-only
	punch  Puncher
	zero   Zeroer
	fetch  Prefetcher
	nowait NoWaitReader
	quick  NoWaitWriter // nil too when the export is read-only
	sender Sender
}

func newDevice(e *Export) device {
	d := device{Device: e.Device, size: e.Size}
	if d.size <= 0 {
		d.size = max(0, e.Device.Size())
	}
	d.mapper, _ = e.Device.(blockio.Mapper)
	d.fetch, _ = e.Device.(Prefetcher)
	d.nowait, _ = e.Device.(NoWaitReader)
	d.sender, _ = e.Device.(Sender)
	if !e.ReadOnly {
		d.writer, _ = e.Device.(Writer)
		d.quick, _ = e.Device.(NoWaitWriter)
		d.punch, _ = e.Device.(Puncher)
		d.zero, _ = e.Device.(Zeroer)
	}
	return d
}

// flags are the export's flags for a client.
func (d *device) flags(structured bool) uint16 {
	f := uint16(expHasFlags | expMultiConn | expCache | expFlush)
	if structured {
		f |= expDF
	}
	if d.writer == nil {
		return f | expReadOnly
	}
	return f | expFUA | expTrim | expZeroes | expFastZero
}
