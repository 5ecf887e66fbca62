// Package launch starts a daemon for the tests of client libraries, which stand
// in modules of their own: what a library requires is not what the daemon does.
//
// Start builds the daemon from the tree that the test is in, gives it a
// directory and ports of its own on the loopback interface, and ends it with the
// test. Serve offers a disk image by HTTP, ranges and all, as a bucket would.
package launch

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"
)

// Daemon is a daemon that runs.
type Daemon struct {
	// GRPC and REST are the addresses that it listens on.
	GRPC, REST string
}

// root is the top of the tree, from a module beside this package.
const root = "../../.."

// Start builds and starts a daemon, and waits until it is ready.
func Start(t *testing.T) *Daemon {
	t.Helper()
	dir := t.TempDir()
	bin := filepath.Join(dir, "blockmilld")
	build := exec.Command("go", "build", "-o", bin, "./cmd/blockmilld")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the daemon: %v\n%s", err, out)
	}
	config := filepath.Join(dir, "blockmilld.yaml")
	if err := os.WriteFile(config, []byte(configText), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(bin, "--config", config, "--data-dir", filepath.Join(dir, "data"))
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		if err := cmd.Wait(); err != nil {
			said, _ := os.ReadFile(log.Name()) // as much as there is
			t.Errorf("the daemon ended with %v:\n%s", err, said)
		}
	})
	d, err := ready(t.Context(), log.Name())
	if err != nil {
		t.Fatalf("the daemon is not ready: %v", err)
	}
	return d
}

var listening = regexp.MustCompile(`msg=listening for=(\w+) address=(\S+:\d+) `)

// ready waits until a daemon says that it is, and finds in what it said where it
// listens.
func ready(ctx context.Context, log string) (*Daemon, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		said, err := os.ReadFile(log)
		if err != nil {
			return nil, err
		}
		if bytes.Contains(said, []byte("msg=ready\n")) {
			at := map[string]string{}
			for _, l := range listening.FindAllStringSubmatch(string(said), -1) {
				at[l[1]] = l[2]
			}
			return &Daemon{GRPC: at["grpc"], REST: at["rest"]}, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
}

// Size is the virtual size of the disk that Serve offers, in bytes.
const Size = 8 << 20

// Serve offers a raw disk of Size bytes, and gives its URL.
func Serve(t *testing.T) string {
	t.Helper()
	disk := make([]byte, Size)
	for off := 0; off < len(disk); off += 1 << 20 {
		copy(disk[off:], fmt.Sprintf("block %d of a disk", off))
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"one"`)
		http.ServeContent(w, r, "disk.raw", time.Unix(1700000000, 0), bytes.NewReader(disk))
	}))
	t.Cleanup(s.Close)
	return s.URL + "/disk.raw?signature=secret"
}

// ServeSlowly offers a disk that does not come: each request for it waits until
// it is given up.
func ServeSlowly(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(s.Close)
	return s.URL + "/disk.raw"
}

// configText is the daemon's configuration. The system chooses the ports.
const configText = `
grpc:
  listen: [127.0.0.1:0]
rest:
  listen: [127.0.0.1:0]
metrics:
  listen: [127.0.0.1:0]
fetch:
  allow: [127.0.0.0/8]
  allow_http: true
`
