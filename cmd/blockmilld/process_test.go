package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// asDaemon makes the test's own program a daemon: one with the race detector, when
// the test has it.
const asDaemon = "RUN_AS_BLOCKMILLD"

func TestMain(m *testing.M) {
	if os.Getenv(asDaemon) != "" {
		os.Exit(run(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// process is a daemon that runs beside the test.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	log  *safeBuffer
	gone chan struct{}

	dir                 string
	grpc, rest, metrics string // host:port, once it has started
	said                int    // of the log before the latest start
	scheme              string // of REST
	token               string
	client              *http.Client
	bare                bool // the environment says nothing of sources
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// anyPort has the system choose a port.
const anyPort = "127.0.0.1:0"

// newProcess prepares a daemon, which has ports of its own with each start.
func newProcess(t *testing.T) *process {
	t.Helper()
	// A socket's path is short.
	dir, err := os.MkdirTemp("", "blockmilld")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return &process{
		t: t, dir: dir,
		scheme: "http", client: &http.Client{}, log: new(safeBuffer),
	}
}

// start starts the daemon and waits until it is ready. More of the environment may
// be given.
func (p *process) start(args ...string) *process {
	p.t.Helper()
	var environ []string
	for len(args) > 0 && strings.Contains(args[0], "=") && !strings.HasPrefix(args[0], "-") {
		environ, args = append(environ, args[0]), args[1:]
	}
	p.cmd = exec.Command(os.Args[0], append([]string{
		"--data-dir", filepath.Join(p.dir, "data"),
		"--grpc-listen", anyPort, "--rest-listen", anyPort, "--metrics-listen", anyPort,
	}, args...)...)
	p.cmd.Env = append(os.Environ(), asDaemon+"=1")
	if !p.bare {
		p.cmd.Env = append(p.cmd.Env, "BLOCKMILL_FETCH_ALLOW=127.0.0.0/8", "BLOCKMILL_FETCH_ALLOW_HTTP=true")
	}
	p.cmd.Env = append(p.cmd.Env, environ...)
	p.cmd.Stderr = p.log
	p.said = len(p.log.String())
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.gone = make(chan struct{})
	go func() {
		defer close(p.gone)
		_ = p.cmd.Wait() // its state tells
	}()
	p.t.Cleanup(func() { p.stop() })
	p.eventually("ready", func() bool {
		select {
		case <-p.gone:
			p.t.Fatalf("the daemon ended: %s", p.log)
		default:
		}
		if p.metrics = p.listensFor("metrics"); p.metrics == "" {
			return false
		}
		resp, err := p.client.Get("http://" + p.metrics + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		// What it says comes by another way than the answer.
		return resp.StatusCode == http.StatusOK && strings.Contains(p.log.String()[p.said:], " msg=ready\n")
	})
	p.grpc, p.rest = p.listensFor("grpc"), p.listensFor("rest")
	return p
}

var listening = regexp.MustCompile(`msg=listening for=(\w+) address=(\S+:\d+) `)

// listensFor is the address that the daemon said it listens at, empty if it did not.
func (p *process) listensFor(what string) string {
	for _, said := range listening.FindAllStringSubmatch(p.log.String()[p.said:], -1) {
		if said[1] == what {
			return said[2]
		}
	}
	return ""
}

// signal sends a signal.
func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// kill ends the daemon as a power cut would.
func (p *process) kill() {
	p.t.Helper()
	p.signal(syscall.SIGKILL)
	<-p.gone
}

// stop stops the daemon in order, if it runs.
func (p *process) stop() {
	p.t.Helper()
	select {
	case <-p.gone:
		return
	default:
	}
	p.signal(syscall.SIGTERM)
	<-p.gone
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		p.t.Errorf("the daemon ended with %d: %s", code, p.log)
	}
	if strings.Contains(p.log.String(), "DATA RACE") {
		p.t.Errorf("%s", p.log)
	}
}

// eventually waits until something is so.
func (p *process) eventually(what string, so func() bool) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 90*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			p.t.Fatalf("not %s: %s", what, p.log)
		}
	}
}

type object = map[string]any

// ask sends a request by REST, and gives the status and the document that comes.
func (p *process) ask(method, path string, body any, headers ...string) (int, object) {
	p.t.Helper()
	var r io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			p.t.Fatal(err)
		}
		r = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.scheme+"://"+p.rest+path, r)
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if p.token != "" {
		req.Header.Set("Authorization", "Bearer "+p.token)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := p.client.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	var doc object
	if err := json.NewDecoder(resp.Body).Decode(&doc); err != nil {
		p.t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp.StatusCode, doc
}

// must is ask for what must be right.
func (p *process) must(method, path string, body any, headers ...string) object {
	p.t.Helper()
	code, doc := p.ask(method, path, body, headers...)
	if code != http.StatusOK {
		p.t.Fatalf("%s %s: %d %v", method, path, code, doc)
	}
	return doc
}

// wait waits for an operation's end.
func (p *process) wait(op object) object {
	p.t.Helper()
	p.eventually(fmt.Sprintf("done: operation %v", op["id"]), func() bool {
		op = p.must("GET", "/operations/"+op["id"].(string), nil)
		return op["done"] == true
	})
	return op
}

// do is must for operations, which must come to a good end; it gives the response.
func (p *process) do(method, path string, body any, headers ...string) object {
	p.t.Helper()
	op := p.wait(p.must(method, path, body, headers...))
	if op["error"] != nil {
		p.t.Fatalf("%s %s: %v", method, path, op["error"])
	}
	return op["response"].(object)
}

// exposition is the page of metrics.
func (p *process) exposition() []byte {
	p.t.Helper()
	resp, err := p.client.Get("http://" + p.metrics + "/metrics")
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return page
}
