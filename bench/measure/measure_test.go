package measure_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/blockmill/blockmill/bench/measure"
)

// childEnv makes the test binary behave as the child that a test measures.
const childEnv = "MEASURE_TEST_CHILD"

func TestMain(m *testing.M) {
	if mode := os.Getenv(childEnv); mode != "" {
		if err := child(mode, os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func child(mode string, args []string) error {
	switch mode {
	case "print":
		fmt.Println("to stdout")
		fmt.Fprintln(os.Stderr, "first\nlast")
	case "fail":
		return errors.New("first\nthe reason")
	case "spin": // CPU
		for start := time.Now(); time.Since(start) < 200*time.Millisecond; {
		}
	case "write": // storage
		return os.WriteFile(args[0], make([]byte, 8<<20), 0o600)
	case "read":
		f, err := os.Open(args[0])
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, f)
		return err
	case "hang":
		fmt.Println("hanging")
		<-time.After(time.Hour)
	}
	return nil
}

func process(t *testing.T, mode string, args ...string) measure.Process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return measure.Process{Path: exe, Args: args, Env: []string{childEnv + "=" + mode}}
}

func run(t *testing.T, mode string, args ...string) measure.Usage {
	t.Helper()
	use, out, err := measure.Run(t.Context(), process(t, mode, args...))
	if err != nil {
		t.Fatalf("Run %s: %v\n%s", mode, err, out.Stderr)
	}
	return use
}

func TestRunOutput(t *testing.T) {
	_, out, err := measure.Run(t.Context(), process(t, "print"))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(out.Stdout); got != "to stdout\n" {
		t.Errorf("stdout = %q", got)
	}
	if got := string(out.Stderr); got != "first\nlast\n" {
		t.Errorf("stderr = %q", got)
	}
}

func TestRunExitStatus(t *testing.T) {
	use, _, err := measure.Run(t.Context(), process(t, "fail"))
	exit, ok := errors.AsType[*measure.ExitError](err)
	if !ok {
		t.Fatalf("Run = %v, want an ExitError", err)
	}
	if want := "exit status 3: first; the reason"; exit.Error() != want {
		t.Errorf("error = %q, want %q", exit, want)
	}
	if use.Wall <= 0 || use.MaxRSS <= 0 {
		t.Errorf("usage of a failed process is empty: %+v", use)
	}
}

// peak is that of dd with a buffer of so many MiB, which it fills again and
// again; a child in Go would have the race detector's memory too.
func peak(t *testing.T, mib int) int64 {
	t.Helper()
	dd, err := exec.LookPath("dd")
	if err != nil {
		t.Skip("needs dd")
	}
	use, out, err := measure.Run(t.Context(), measure.Process{
		Path: dd, Args: []string{"if=/dev/zero", "of=/dev/null", fmt.Sprintf("count=%d", 4096/mib), fmt.Sprintf("bs=%dM", mib)},
	})
	if err != nil {
		t.Fatalf("dd: %v\n%s", err, out.Stderr)
	}
	return use.MaxRSS
}

func TestRunPeakMemory(t *testing.T) {
	for _, mib := range []int{48, 160} {
		if got, want := peak(t, mib), int64(mib)<<20; got < want || got > want+24<<20 {
			t.Errorf("peak of a process that fills %d MiB = %d", mib, got)
		}
	}
}

// The peak of a child is its own, not that of the caller, whose memory it
// shares until it executes.
func TestRunPeakMemoryBelowCallers(t *testing.T) {
	own := make([]byte, 192<<20)
	for i := 0; i < len(own); i += 4096 {
		own[i] = 1
	}
	if got := peak(t, 96); got > 120<<20 {
		t.Errorf("peak of a process that fills 96 MiB = %d, from a caller with %d", got, len(own))
	}
	own[0] = 2 // keeps it until here
}

func TestRunTimes(t *testing.T) {
	use := run(t, "spin")
	if use.Wall < 200*time.Millisecond {
		t.Errorf("wall = %v of a process that runs 200 ms", use.Wall)
	}
	if cpu := use.User + use.Sys; cpu <= 0 || cpu > 20*use.Wall {
		t.Errorf("CPU = %v within %v", cpu, use.Wall)
	}
}

func TestRunBytes(t *testing.T) {
	const size = 8 << 20
	path := filepath.Join(t.TempDir(), "file")
	wrote := run(t, "write", path)
	if wrote.WriteCalls < size || wrote.WriteCalls > size+1<<20 {
		t.Errorf("written by calls = %d, want %d and little more", wrote.WriteCalls, size)
	}
	if _, err := measure.Settle(path); err != nil {
		t.Fatal(err)
	}
	if read := run(t, "read", path); read.ReadCalls < size || read.ReadCalls > size+1<<20 {
		t.Errorf("read by calls = %d, want %d and little more", read.ReadCalls, size)
	}
}

func TestRunCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	timer := time.AfterFunc(50*time.Millisecond, cancel)
	defer timer.Stop()
	_, _, err := measure.Run(ctx, process(t, "hang"))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Run of a hanging process = %v, want that it was cancelled", err)
	}
}

func TestRunOfNothing(t *testing.T) {
	_, _, err := measure.Run(t.Context(), measure.Process{Path: filepath.Join(t.TempDir(), "absent")})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Run of an absent program = %v", err)
	}
}

func TestCoolAndWarm(t *testing.T) {
	const size = 16 << 20
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), bytes.Repeat([]byte{1}, size), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "file")

	left, err := measure.Cool(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if left < 0 {
		t.Skip("the kernel has no cachestat")
	}
	if left > size/10 {
		t.Skipf("%d of %d bytes stay cached: a file system in memory", left, size)
	}
	cold := run(t, "read", path)
	if cold.Read < size/2 {
		t.Errorf("storage gave %d bytes of a cold file of %d", cold.Read, size)
	}
	if err := measure.Warm(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	if warm := run(t, "read", path); warm.Read > cold.Read/2 {
		t.Errorf("storage gave %d bytes of a warm file, %d of a cold one", warm.Read, cold.Read)
	}
}

func TestSettleAndUsage(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := os.WriteFile(path, []byte(strings.Repeat("x", 1<<20)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, dir} {
		if _, err := measure.Settle(p); err != nil {
			t.Errorf("Settle %s: %v", p, err)
		}
	}
	if _, err := measure.Settle(filepath.Join(dir, "absent")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Settle of an absent file = %v", err)
	}
	if err := os.Truncate(path, 1<<30); err != nil {
		t.Fatal(err)
	}
	used, err := measure.DiskUsage(dir)
	if err != nil {
		t.Fatal(err)
	}
	if used < 1<<20 || used > 2<<20 {
		t.Errorf("usage of a directory with 1 MiB of data in 1 GiB = %d", used)
	}
}
