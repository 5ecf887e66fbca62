package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/blockmill/blockmill/cmd/bytesize"
)

// Limits that keep a command's peak resident memory within 256 MiB. The arena's
// buffers are most of it where images are large, the Go heap and the tables of the
// index where a store has many chunks: the heap is collected early rather than let
// grow.
const (
	goMemory = 112 << 20
	goGC     = 50
)

func main() {
	log.SetOutput(io.Discard) // net/http writes there what servers send unasked
	debug.SetMemoryLimit(goMemory)
	debug.SetGCPercent(goGC)
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(2 * runtime.GOMAXPROCS(0)) // see blockio.Processors
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run carries out one command line and gives its exit status.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)

	a := &app{stdout: stdout, stderr: stderr, reserve: bytesize.AutoReserve}
	root := a.root()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	a.stopProfile()
	if err == nil {
		return exitDone
	}
	if !a.running {
		err = usageError{err}
	}
	if line := oneLine(err); line != "" {
		fmt.Fprintf(stderr, "blockmill: %s\n", line)
	}
	return exitStatus(err)
}
