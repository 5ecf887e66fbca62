package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// supervisor is systemd, when the daemon runs under it; otherwise nothing of this
// does anything.
type supervisor struct{ log *slog.Logger }

func (s supervisor) tell(state string) {
	if _, err := sd.SdNotify(false, state); err != nil {
		s.log.Warn("systemd was not told", "state", state, "reason", err)
	}
}

func (s supervisor) ready()    { s.tell(sd.SdNotifyReady) }
func (s supervisor) stopping() { s.tell(sd.SdNotifyStopping) }

// reloading says that the configuration is being read again, until ready.
func (s supervisor) reloading() {
	var now unix.Timespec
	// The monotonic clock is always there.
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	s.tell(fmt.Sprintf("%s\nMONOTONIC_USEC=%d", sd.SdNotifyReloading, now.Nano()/1000))
}

// startEvery is how often more time is asked for while the daemon starts.
const startEvery = 20 * time.Second

// starting asks for more time until the returned function is called: a start may
// read all shards.
func (s supervisor) starting() (started func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(startEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				s.tell(fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", (3 * startEvery).Microseconds()))
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() { cancel(); <-done }
}

// watchdog says that the daemon is well as often as systemd wants to hear it, and
// as long as it is, until the context ends.
func (s supervisor) watchdog(ctx context.Context, well func(context.Context) error) {
	every, err := sd.SdWatchdogEnabled(false)
	if err != nil || every <= 0 {
		return
	}
	ticker := time.NewTicker(every / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if err := well(ctx); err != nil {
			s.log.Error("the daemon is not well", "reason", err)
			continue
		}
		s.tell(sd.SdNotifyWatchdog)
	}
}
