package monitoring_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// node is a daemon at work, and the programs that make it work.
type node struct {
	t       *testing.T
	bin     string
	data    string
	metrics string // host:port
	sources *httptest.Server
}

// patience bounds every wait; it is for machines that are busy.
const patience = 2 * time.Minute

// start builds the programs and starts a daemon of its own.
func start(t *testing.T) *node {
	t.Helper()
	dir := t.TempDir()
	n := &node{t: t, bin: filepath.Join(dir, "bin"), data: filepath.Join(dir, "data")}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", n.bin+"/", "../../cmd/...")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	n.sources = httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(n.sources.Close)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	daemon := exec.Command(filepath.Join(n.bin, "blockmilld"), "--data-dir", n.data, "--metrics-listen", "127.0.0.1:0",
		"--grpc-listen", "127.0.0.1:0", "--rest-listen", "127.0.0.1:0")
	daemon.Env = append(os.Environ(), "BLOCKMILL_FETCH_ALLOW=127.0.0.0/8", "BLOCKMILL_FETCH_ALLOW_HTTP=true", "BLOCKMILL_METRICS_REFRESH=1s")
	daemon.Stderr = log
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = daemon.Process.Signal(syscall.SIGTERM) // Wait says what came of it
		if err := daemon.Wait(); err != nil {
			said, _ := os.ReadFile(log.Name()) // as much as there is
			t.Errorf("the daemon: %v\n%s", err, said)
		}
	})
	n.until("the daemon to answer", func() bool { return n.try("node", "stat") == nil })
	n.metrics = n.heard(log.Name(), `msg=listening for=metrics address=(\S+:\d+) `)
	return n
}

// heard waits for what a program says where it listens, and gives its address.
func (n *node) heard(log, pattern string) (address string) {
	n.t.Helper()
	says := regexp.MustCompile(pattern)
	n.until("the address in "+log, func() bool {
		said, err := os.ReadFile(log)
		if err != nil {
			n.t.Fatal(err)
		}
		if m := says.FindSubmatch(said); m != nil {
			address = string(m[1])
		}
		return address != ""
	})
	return address
}

// until waits for something to be so; what is given more is told when it is not.
func (n *node) until(what string, so func() bool, more ...func() string) {
	n.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for !so() {
		select {
		case <-ticker.C:
		case <-deadline.C:
			for _, tell := range more {
				what += "\n" + tell()
			}
			n.t.Fatalf("waited in vain for %s", what)
		}
	}
}

func (n *node) try(args ...string) error {
	cmd := exec.CommandContext(n.t.Context(), filepath.Join(n.bin, "blockmill"), args...)
	cmd.Env = append(os.Environ(), "BLOCKMILL_ENDPOINT="+filepath.Join(n.data, "run", "blockmill.sock"))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("blockmill %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

func (n *node) must(args ...string) {
	n.t.Helper()
	if err := n.try(args...); err != nil {
		n.t.Fatal(err)
	}
}

// work does some of everything, so that what can be counted is.
func (n *node) work() {
	n.t.Helper()
	image := filepath.Join(filepath.Dir(n.data), "image.raw")
	if err := os.WriteFile(image, slices.Repeat([]byte("all work and no play "), 1<<18), 0o644); err != nil {
		n.t.Fatal(err)
	}
	if err := os.Truncate(image, 8<<20); err != nil {
		n.t.Fatal(err)
	}
	n.must("image", "create", "--name", "first", "--file", image, "--pooled")
	n.must("image", "create", "--name", "fetched", "--uri", n.sources.URL+"/image.raw")
	n.must("image", "list")
	n.must("image", "get", "first")
	n.must("disk", "create", "--name", "disk", "--image", "first")
	if err := n.try("operation", "get", "absent"); err == nil {
		n.t.Error("an operation that is not there was found")
	}
	n.read("image/first")
	n.must("image", "delete", "fetched")
	n.must("node", "gc")
	n.must("node", "scrub", "--full")
}

// read reads an image's export over NBD.
func (n *node) read(image string) {
	n.t.Helper()
	uri := "nbd+unix:///" + image + "?socket=" + filepath.Join(n.data, "run", "nbd.sock")
	cmd := exec.CommandContext(n.t.Context(), filepath.Join(n.bin, "blockbench"), "load", "--nbd", uri, "--duration", "300ms")
	if out, err := cmd.CombinedOutput(); err != nil {
		n.t.Fatalf("%v: %s", err, out)
	}
}

// prometheus scrapes the node every second; it is everywhere where CI is.
func (n *node) prometheus() *api {
	n.t.Helper()
	program, err := exec.LookPath("prometheus")
	if err != nil {
		if os.Getenv("CI") == "true" {
			n.t.Fatal(err)
		}
		n.t.Skip("prometheus is not installed")
	}
	dir := n.t.TempDir()
	config := fmt.Sprintf("global: {scrape_interval: 1s}\nscrape_configs:\n- job_name: blockmill\n  static_configs: [{targets: [%q]}]\n", n.metrics)
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o600); err != nil {
		n.t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		n.t.Fatal(err)
	}
	defer log.Close()
	ctx, cancel := context.WithCancel(n.t.Context())
	cmd := exec.CommandContext(ctx, program, "--config.file="+filepath.Join(dir, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address=127.0.0.1:0")
	cmd.Stderr = log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was ended
	})
	return &api{n.t, "http://" + n.heard(log.Name(), `msg="Listening on".* address=(\S+:\d+)`)}
}

// api is Prometheus' own.
type api struct {
	t   *testing.T
	url string
}

// query gives the number of series that an expression has now; -1 while
// Prometheus does not answer.
func (a *api) query(expr string) int {
	resp, err := http.Get(a.url + "/api/v1/query?query=" + url.QueryEscape(expr))
	if err != nil {
		return -1
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return -1
	}
	var answer struct {
		Status, Error string
		Data          struct{ Result []json.RawMessage }
	}
	if json.Unmarshal(body, &answer) != nil {
		return -1
	}
	if answer.Status == "error" {
		a.t.Errorf("%s: %s", expr, answer.Error)
	}
	return len(answer.Data.Result)
}

// metricNames are those that expressions name.
func metricNames(exprs []string) []string {
	name := regexp.MustCompile(`\b(blockmill|process|go)_[a-z0-9_]+\b`)
	var all []string
	for _, e := range exprs {
		all = append(all, name.FindAllString(e, -1)...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// selectors are the metrics with labels that expressions name: a label that has
// another value in the code would never be found.
func selectors(exprs []string) []string {
	selector := regexp.MustCompile(`\bblockmill_[a-z0-9_]+\{[^}]+\}`)
	var all []string
	for _, e := range exprs {
		all = append(all, selector.FindAllString(e, -1)...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func alerts(t *testing.T) []string {
	t.Helper()
	return []string{read(t, "alerts.yml")}
}

// What the dashboard and the alerts ask for is what a daemon at work tells a
// real Prometheus.
func TestScrape(t *testing.T) {
	n := start(t)
	prometheus := n.prometheus()
	n.work()
	n.until("some scrapes after the work", func() bool {
		return prometheus.query(`count_over_time(blockmill_scrub_last_success_timestamp_seconds[5m]) > 3`) > 0
	})
	// A scrape that takes longer than the time between two leaves a gap.
	var missing []string
	n.until("all there is to see", func() bool {
		missing = prometheus.missing(t)
		return len(missing) == 0
	}, func() string { return strings.Join(missing, "\n") })
}

// missing is what the dashboard and the alerts ask for and do not get now.
func (a *api) missing(t *testing.T) (all []string) {
	t.Helper()
	exprs := append(queries(t), alerts(t)...)
	for _, name := range metricNames(exprs) {
		if a.query(name) < 1 && !slices.Contains(onlyInTrouble, name) {
			all = append(all, "no metric "+name)
		}
	}
	for _, selector := range selectors(exprs) {
		if a.query(selector) < 1 && !slices.Contains(seriesInTrouble, selector) {
			all = append(all, "no series "+selector)
		}
	}
	for _, q := range queries(t) {
		if a.query(q) < 1 {
			all = append(all, "nothing to show for "+q)
		}
	}
	return all
}

// onlyInTrouble are metrics that no node has in which all is well.
var onlyInTrouble = []string{"blockmill_nbd_errors_total"}

// seriesInTrouble are those of them.
var seriesInTrouble = []string{
	`blockmill_api_requests_total{code=~"Internal|Unknown|DataLoss|Unavailable"}`,
	`blockmill_nbd_errors_total{error="input/output error"}`,
	`blockmill_operations_ended_total{code=~"Internal|Unknown|DataLoss|Unavailable|ResourceExhausted"}`,
	`blockmill_pool_refills_total{result="failed"}`,
}

// What no run shows is at least in the code.
func TestTroubleIsCounted(t *testing.T) {
	code, err := os.ReadFile("../../blockio/nbd/metrics.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range onlyInTrouble {
		if !strings.Contains(string(code), `"`+strings.TrimPrefix(name, "blockmill_nbd_")+`"`) {
			t.Errorf("no metric %s", name)
		}
	}
}
