package bench

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"time"

	"github.com/blockmill/blockmill/bench/measure"
	"github.com/blockmill/blockmill/bench/origin"
)

// Output runs a program that measures by itself, and returns what it printed.
func (e *Env) Output(ctx context.Context, name string, args ...string) ([]byte, error) {
	tool, err := e.programs.Find(name)
	if err != nil {
		return nil, err
	}
	_, out, err := measure.Run(ctx, e.process(tool.Path, Contender{}, Command{Args: args}))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return out.Stdout, nil
}

const (
	// serveTime bounds how long a server may take to start, and to end.
	serveTime = 10 * time.Second
	serveTick = 5 * time.Millisecond
)

// Serve starts a program that serves until it is stopped, and returns once it
// is ready.
func (e *Env) Serve(ctx context.Context, ready func() bool, name string, args ...string) (stop func() error, err error) {
	tool, err := e.programs.Find(name)
	if err != nil {
		return nil, err
	}
	p := e.process(tool.Path, Contender{}, Command{Args: args})
	cmd := exec.CommandContext(ctx, p.Path, p.Args...)
	cmd.Dir, cmd.Env = p.Dir, p.Env
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = serveTime
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	ended := make(chan struct{})
	var endErr error // set before ended is closed
	go func() {
		endErr = cmd.Wait()
		close(ended)
	}()
	stop = func() error {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			return fmt.Errorf("stop %s: %w", name, err)
		}
		<-ended // by the signal, which some call a failure
		return nil
	}
	tick := time.NewTicker(serveTick)
	defer tick.Stop()
	limit := time.NewTimer(serveTime)
	defer limit.Stop()
	for !ready() {
		select {
		case <-tick.C:
		case <-ended:
			return nil, fmt.Errorf("%s ended: %w", name, endErr)
		case <-limit.C:
			return nil, errors.Join(fmt.Errorf("%s is not ready after %v", name, serveTime), stop())
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), stop())
		}
	}
	return stop, nil
}

// serveFiles serves the files of a directory at $SERVER until it is stopped. The
// variable stays, for what is said of the command afterwards.
func (e *Env) serveFiles(dir string) (stop func() error, err error) {
	s, err := origin.Start(e.Path(dir))
	if err != nil {
		return nil, err
	}
	e.server = s.URL("")
	return s.Close, nil
}
