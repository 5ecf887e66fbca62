package operation

import (
	"log/slog"
	"time"

	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/genproto/googleapis/rpc/status"
)

// Options say how to open an engine; the zero value works.
type Options struct {
	// Dir is the directory of the database, made when missing; without one
	// everything is in memory.
	Dir string
	// Workers is how many operations are at work at once; by default 16.
	Workers int
	// Queue is how many operations of one folder may wait; by default 20,000.
	Queue int
	// HistoryAge and HistoryCount are for how long, and how many, ended
	// operations are kept; by default 14 days and 20,000.
	HistoryAge   time.Duration
	HistoryCount int
	// Attempts is how often an operation is begun without coming to an end,
	// any further (Running.Advanced) or to an orderly stop, before it is given
	// up: it may be what ends the process. By default 5.
	Attempts int
	// WatchInterval is the least time between two looks at a progress; by
	// default 100 ms.
	WatchInterval time.Duration
	// Status makes the error of an operation from that of its handler; by
	// default gRPC's status of the error, or INTERNAL.
	Status func(error) *status.Status
	// Ended, if set, is called when an operation has ended. It must not wait.
	Ended func(Info, *opb.Operation)
	// Logger hears what is worth knowing and no error; by default nobody.
	Logger *slog.Logger
	// Metrics are counted, if set.
	Metrics *Metrics
}

func (o Options) withDefaults() Options {
	positive := func(v *int, n int) {
		if *v <= 0 {
			*v = n
		}
	}
	positive(&o.Workers, 16)
	positive(&o.Queue, 20_000)
	positive(&o.HistoryCount, 20_000)
	positive(&o.Attempts, 5)
	if o.HistoryAge <= 0 {
		o.HistoryAge = 14 * 24 * time.Hour
	}
	if o.WatchInterval <= 0 {
		o.WatchInterval = 100 * time.Millisecond
	}
	if o.Status == nil {
		o.Status = plainStatus
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}
