package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// daemonCommand is "daemon DIR": starts a daemon with its data in DIR and its
// socket for gRPC alone, until the script ends or it is started again. It has
// the URL of $WORK by HTTP in $URL.
func daemonCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: daemon DIR")
	}
	bin, err := buildDaemon()
	ts.Check(err)
	dir := ts.MkAbs(args[0])
	files := httptest.NewServer(http.FileServer(http.Dir(ts.Getenv("WORK"))))
	ts.Defer(files.Close)
	ts.Setenv("URL", files.URL)
	config := filepath.Join(ts.Getenv("WORK"), "blockmilld.yaml")
	ts.Check(os.WriteFile(config, []byte(daemonConfig), 0o600))
	log, err := os.Create(ts.MkAbs("daemon.log"))
	ts.Check(err)
	cmd := exec.Command(bin, "--config", config, "--data-dir", dir)
	cmd.Stderr = log
	ts.Check(cmd.Start())
	ts.Defer(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		if err := cmd.Wait(); err != nil {
			ts.Logf("the daemon ended with %v", err)
		}
		_ = log.Close() // the daemon wrote it
	})
	socket := filepath.Join(dir, "run", "blockmill.sock")
	ts.Setenv("BLOCKMILL_ENDPOINT", socket)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	for tick := time.NewTicker(10 * time.Millisecond); ; <-tick.C {
		if _, err := os.Stat(socket); err == nil {
			return
		}
		if ctx.Err() != nil {
			ts.Fatalf("the daemon did not start:\n%s", ts.ReadFile("daemon.log"))
		}
	}
}

// daemonConfig keeps the daemon off all ports.
const daemonConfig = `
grpc: {listen: []}
rest: {listen: []}
metrics: {listen: []}
fetch: {allow: [127.0.0.0/8], allow_http: true}
`
