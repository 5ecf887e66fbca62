package main

import (
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes the test binary the program itself when it is run as blockmill.
func TestMain(m *testing.M) {
	testscript.Main(suite{m}, map[string]func(){"blockmill": func() {
		shardSystem = faultySystem()
		if os.Getenv(seriesVariable) != "" {
			series()
			return
		}
		main()
	}})
}

// suite is the tests, with a directory for the programs that they build.
type suite struct{ *testing.M }

// programs is that directory.
var programs string

func (s suite) Run() int {
	// A program under the race detector waits a second before it ends, unless told
	// otherwise: most of the tests' time.
	err := os.Setenv("GORACE", "atexit_sleep_ms=0")
	if err == nil {
		programs, err = os.MkdirTemp("", "blockmill-")
	}
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(programs)
	return s.M.Run()
}

// buildDaemon builds the daemon once for all scripts.
var buildDaemon = sync.OnceValues(func() (string, error) {
	bin := filepath.Join(programs, "blockmilld")
	out, err := exec.Command("go", "build", "-o", bin, "../blockmilld").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the daemon: %w: %s", err, out)
	}
	return bin, nil
})
