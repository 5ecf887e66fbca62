package measure

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Process is what to run.
type Process struct {
	Path string   // of the executable, resolved
	Args []string // without the program's own name
	Dir  string   // "" is the caller's
	Env  []string // all of the environment; nothing is inherited
}

// Usage is what a process cost.
type Usage struct {
	Wall time.Duration // from before fork to exit
	User time.Duration
	Sys  time.Duration
	// MaxRSS is the peak of resident bytes.
	MaxRSS int64
	// Read and Written are the bytes that storage was asked for or will be
	// given; ReadCalls and WriteCalls those that passed through system calls,
	// the page cache included.
	Read, Written         int64
	ReadCalls, WriteCalls int64
	// Others is the CPU time that everything else on the machine took
	// meanwhile: the noise.
	Others time.Duration
}

// Output is what a process printed, each stream cut to its last MiB.
type Output struct {
	Stdout, Stderr []byte
}

// ExitError says that a process ended otherwise than with status 0.
type ExitError struct {
	Status string // "exit status 3", "signal: killed"
	Stderr string // its end, on one line
}

func (e *ExitError) Error() string {
	if e.Stderr == "" {
		return e.Status
	}
	return e.Status + ": " + e.Stderr
}

// Run runs p to its end. When ctx ends first, the process and all of its
// group are killed. The usage is valid also beside an ExitError.
func Run(ctx context.Context, p Process) (Usage, Output, error) {
	var stdout, stderr tail
	cmd := exec.CommandContext(ctx, p.Path, p.Args...)
	cmd.Dir, cmd.Env = p.Dir, p.Env
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second

	busy := machineCPU()
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return Usage{}, Output{}, fmt.Errorf("start %s: %w", p.Path, err)
	}
	ownPeak := peakRSS("self") // after exec, which took it over as it was then
	account := watch(cmd.Process.Pid, start)
	err := cmd.Wait()
	out := Output{Stdout: stdout.bytes(), Stderr: stderr.bytes()}
	if cause := ctx.Err(); cause != nil {
		return Usage{}, out, fmt.Errorf("run %s: %w", p.Path, cause)
	}
	state := cmd.ProcessState
	if state == nil || account.err != nil {
		return Usage{}, out, fmt.Errorf("wait for %s: %w", p.Path, errors.Join(err, account.err))
	}

	use := account.usage(state, ownPeak)
	use.Others = max(0, machineCPU()-busy-use.User-use.Sys)
	if !state.Success() {
		return use, out, &ExitError{Status: state.String(), Stderr: oneLine(out.Stderr)}
	}
	return use, out, err
}

// account is what is read of a process while it ends.
type account struct {
	wall time.Duration
	peak int64 // of resident bytes, as last seen while it ran
	io   ioCounters
	err  error
}

// peakInterval is how often a running process is asked for its peak memory.
const peakInterval = 20 * time.Millisecond

// watch waits until the process has ended, without reaping it: its accounts
// can be read until the caller does.
func watch(pid int, start time.Time) account {
	name := fmt.Sprint(pid)
	done, polled := make(chan struct{}), make(chan int64)
	go func() {
		ticker := time.NewTicker(peakInterval)
		defer ticker.Stop()
		var peak int64
		for {
			select {
			case <-ticker.C:
				peak = max(peak, peakRSS(name))
			case <-done:
				polled <- peak
				return
			}
		}
	}()

	var err error
	for {
		err = unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	a := account{wall: time.Since(start), err: err}
	a.io = readIO(name)
	close(done)
	a.peak = <-polled
	return a
}

// counterSlack bounds by how much two readings of the kernel's resident
// counters may differ for one memory: each CPU holds some pages back.
const counterSlack = 8 << 20

// usage joins what was seen with what the kernel gave at the reaping. The
// kernel's peak memory is exact but begins at the caller's own (the child
// shares its memory until exec), so up to that the polled one stands.
func (a account) usage(state *os.ProcessState, ownPeak int64) Usage {
	peak := a.peak
	if r, ok := state.SysUsage().(*syscall.Rusage); ok {
		if exact := r.Maxrss << 10; exact > ownPeak+counterSlack || peak == 0 {
			peak = exact
		}
	}
	return Usage{
		Wall: a.wall, User: state.UserTime(), Sys: state.SystemTime(), MaxRSS: peak,
		Read: a.io.read, Written: a.io.written, ReadCalls: a.io.readCalls, WriteCalls: a.io.writeCalls,
	}
}

// tail keeps the end of what is written to it.
type tail struct{ buf []byte }

const tailSize = 1 << 20

func (t *tail) Write(p []byte) (int, error) {
	t.buf = append(t.buf, p...)
	if len(t.buf) > 2*tailSize {
		t.buf = append(t.buf[:0], t.bytes()...)
	}
	return len(p), nil
}

func (t *tail) bytes() []byte { return t.buf[max(0, len(t.buf)-tailSize):] }

// oneLineSize is how much of what a process printed goes into an error.
const oneLineSize = 400

func oneLine(p []byte) string {
	lines := strings.FieldsFunc(string(p), func(r rune) bool { return r == '\n' || r == '\r' })
	s := strings.Join(lines, "; ")
	if len(s) > oneLineSize {
		s = "…" + strings.ToValidUTF8(s[len(s)-oneLineSize:], "")
	}
	return s
}
