package operation_test

import (
	"context"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"

	"github.com/blockmill/blockmill/api/operation"
)

// TestAnOperationThatEndsTheProcessIsGivenUp starts processes that an operation
// ends, until it is given up.
func TestAnOperationThatEndsTheProcessIsGivenUp(t *testing.T) {
	if endedProcesses(t, func(*operation.Running) {}) != 3 {
		t.Error("it did not end 3 processes")
	}
}

// TestAnOperationThatAdvancesIsNotGivenUp is like it, of an operation that gets a
// little further each time.
func TestAnOperationThatAdvancesIsNotGivenUp(t *testing.T) {
	if n := endedProcesses(t, (*operation.Running).Advanced); n != 10 {
		t.Errorf("it was given up after %d processes", n)
	}
}

// endedProcesses says how many processes in a row, of ten, an operation ends that
// calls first before it does.
func endedProcesses(t *testing.T, first func(*operation.Running)) (n int) {
	const dirVariable = "OPERATIONS_OF_A_PROCESS_THAT_ENDS"
	if dir := os.Getenv(dirVariable); dir != "" {
		lastProcess(t, dir, &killer{first})
		os.Exit(0) // with nothing to say of how many
	}
	dir := t.TempDir()
	for ; n < 10; n++ {
		cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), dirVariable+"="+dir)
		out, err := cmd.CombinedOutput()
		if err == nil {
			if !strings.Contains(string(out), "given up") {
				t.Errorf("%s", out)
			}
			break
		}
		if cmd.ProcessState.ExitCode() != 7 {
			t.Fatalf("%v: %s", err, out)
		}
	}
	return n
}

// lastProcess is a process whose operations end it.
func lastProcess(t *testing.T, dir string, s *killer) {
	e, err := operation.Open(t.Context(), operation.Options{Dir: dir, Attempts: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer closeEngine(t, e)
	e.Register("script", s)
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	page, _, err := e.List(operation.Query{Folder: "f"})
	if err != nil {
		t.Fatal(err)
	}
	if len(page) == 0 {
		page = append(page, submit(t, e, spec("kill")))
	}
	op, err := e.Wait(context.Background(), page[0].Id)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(answer(t, op))
}

// killer ends the process that runs it, as a crash would.
type killer struct{ first func(*operation.Running) }

// Run does not come back.
func (k *killer) Run(_ context.Context, op *operation.Running) (proto.Message, error) {
	k.first(op)
	os.Exit(7)
	return nil, nil
}

// queueOne leaves an operation in the queue of a directory.
func queueOne(t *testing.T, dir string) string {
	t.Helper()
	e, err := operation.Open(t.Context(), operation.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	e.Register("script", &killer{func(*operation.Running) {}})
	op := submit(t, e, spec("stay")) // not started, so it stays queued
	closeEngine(t, e)
	return op.Id
}

// TestALogThatWasNotBegun has the file that a process leaves behind which is
// killed as it is about to begin a log.
func TestALogThatWasNotBegun(t *testing.T) {
	dir := t.TempDir()
	id := queueOne(t, dir)
	if err := os.WriteFile(filepath.Join(dir, "badger", "00042.mem"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	e, err := operation.Open(t.Context(), operation.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer closeEngine(t, e)
	if _, err := e.Get(id); err != nil {
		t.Errorf("the operation is gone: %v", err)
	}
}

// TestOperationsOutliveAFullDisk opens operations where no file may be written,
// which is no reason to begin them anew.
func TestOperationsOutliveAFullDisk(t *testing.T) {
	const dirVariable = "OPERATIONS_WHERE_NO_FILE_MAY_BE_WRITTEN"
	if dir := os.Getenv(dirVariable); dir != "" {
		signal.Ignore(syscall.SIGXFSZ)
		if err := syscall.Setrlimit(unix.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 64 << 10, Max: 64 << 10}); err != nil {
			t.Fatal(err)
		}
		if _, err := operation.Open(t.Context(), operation.Options{Dir: dir}); err == nil {
			t.Fatal("opened where no file can be written")
		}
		os.Exit(0) // before Badger's goroutines are looked for
	}
	dir := t.TempDir()
	id := queueOne(t, dir)
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), dirVariable+"="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	e, err := operation.Open(t.Context(), operation.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer closeEngine(t, e)
	if _, err := e.Get(id); err != nil {
		t.Errorf("the operation is gone: %v", err)
	}
}
