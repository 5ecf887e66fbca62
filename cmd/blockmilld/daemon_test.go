package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// disk is a raw disk without holes that does not compress.
func disk(size int, seed uint64) []byte {
	p := make([]byte, size)
	r := rand.New(rand.NewPCG(seed, 0))
	for i := 0; i+8 <= size; i += 8 {
		v := r.Uint64()
		for k := range 8 {
			p[i+k] = byte(v >> (8 * k))
		}
	}
	p[0] = 0 // no format's signature
	return p
}

// bucket serves one file with ranges, as a bucket does.
type bucket struct {
	*httptest.Server
	sent atomic.Int64
	// gate, if set, is asked before each answer.
	gate func(r *http.Request)
}

func offer(t *testing.T, content []byte) *bucket {
	b := new(bucket)
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if b.gate != nil {
			b.gate(r)
		}
		w.Header().Set("ETag", `"one"`)
		http.ServeContent(&counted{w, &b.sent}, r, "", time.Time{}, bytes.NewReader(content))
	}))
	t.Cleanup(b.Close)
	return b
}

type counted struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.n.Add(int64(n))
	return n, err
}

const mib = 1 << 20

// TestTheLifeOfAnImage is a first try without configuration, by REST.
func TestTheLifeOfAnImage(t *testing.T) {
	p := newProcess(t).start()
	source := offer(t, disk(8*mib, 1))
	create := object{
		"folderId": "default", "name": "debian", "description": "A disk", "labels": object{"a": "b"},
		"family": "debian", "uri": source.URL + "/disk.raw?X-Signature=SECRET", "os": object{"type": "LINUX"},
	}
	op := p.must("POST", "/compute/v1/images", create, "Idempotency-Key", "11111111-1111-4111-8111-111111111111")
	id := op["metadata"].(object)["imageId"].(string)
	again := p.must("POST", "/compute/v1/images", create, "Idempotency-Key", "11111111-1111-4111-8111-111111111111")
	if again["id"] != op["id"] {
		t.Errorf("the same request made another operation: %v", again)
	}
	image := p.wait(op)["response"].(object)
	delete(image, "@type")
	want := object{
		"id": id, "folderId": "default", "createdAt": image["createdAt"], "name": "debian", "description": "A disk",
		"labels": object{"a": "b"}, "family": "debian", "storageSize": "8388608", "size": "8388608", "minDiskSize": "8388608",
		"productIds": []any{}, "status": "READY", "os": object{"type": "LINUX"}, "pooled": false,
		"hardwareGeneration": object{"legacyFeatures": object{"pciTopology": "PCI_TOPOLOGY_V1"}},
	}
	if diff := cmp.Diff(want, image); diff != "" {
		t.Errorf("the image is another: %s", diff)
	}
	for _, path := range []string{
		"/compute/v1/images/" + id,
		"/compute/v1/images:latestByFamily?folderId=default&family=debian",
	} {
		if diff := cmp.Diff(want, p.must("GET", path, nil)); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}
	list := p.must("GET", "/compute/v1/images?folderId=default&pageSize=10&filter=name%3D%22debian%22", nil)
	if diff := cmp.Diff(object{"images": []any{want}, "nextPageToken": ""}, list); diff != "" {
		t.Errorf("list: %s", diff)
	}
	updated := p.do("PATCH", "/compute/v1/images/"+id, object{"updateMask": "description,labels", "description": "New"})
	if updated["description"] != "New" || updated["name"] != "debian" {
		t.Errorf("updated: %v", updated)
	}
	copied := p.do("POST", "/compute/v1/images", object{"folderId": "default", "name": "copy", "imageId": id})
	if copied["size"] != "8388608" || copied["os"].(object)["type"] != "LINUX" {
		t.Errorf("copied: %v", copied)
	}
	p.do("DELETE", "/compute/v1/images/"+id, nil)
	if code, _ := p.ask("GET", "/compute/v1/images/"+id, nil); code != http.StatusNotFound {
		t.Errorf("deleted: %d", code)
	}
	p.do("POST", "/compute/v1/disks", object{"folderId": "default", "zoneId": "here", "size": "8388608", "imageId": copied["id"]})
	p.checkMetrics()
	p.stop()
	p.checkSecret("SECRET")
}

// checkMetrics holds the page of metrics against what Prometheus's linter wants.
func (p *process) checkMetrics() {
	p.t.Helper()
	page := p.exposition()
	problems, err := promlint.New(bytes.NewReader(page)).Lint()
	if err != nil {
		p.t.Fatal(err)
	}
	for _, problem := range problems {
		p.t.Errorf("metric %s: %s", problem.Metric, problem.Text)
	}
	for _, name := range []string{
		"blockmill_api_requests_total", "blockmill_operations_ended_total", "blockmill_build_info", "go_goroutines", "process_resident_memory_bytes",
	} {
		if !bytes.Contains(page, []byte("\n"+name)) {
			p.t.Errorf("no metric %s", name)
		}
	}
}

// checkSecret looks for a secret in the log and in everything that was kept.
func (p *process) checkSecret(secret string) {
	p.t.Helper()
	if strings.Contains(p.log.String(), secret) {
		p.t.Errorf("the secret is in the log: %s", p.log)
	}
	if !strings.Contains(p.log.String(), "ImageService/Create") {
		p.t.Errorf("no audit line: %s", p.log)
	}
}

// TestCancelAnImport cancels an import whose source does not answer.
func TestCancelAnImport(t *testing.T) {
	p := newProcess(t).start()
	source := offer(t, disk(mib, 1))
	asked := make(chan struct{}, 100)
	source.gate = func(r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	}
	for _, method := range []string{"GET", "POST"} {
		op := p.must("POST", "/compute/v1/images", object{"folderId": "default", "name": "slow", "uri": source.URL})
		<-asked
		p.must(method, "/operations/"+op["id"].(string)+":cancel", nil)
		op = p.wait(op)
		if e, _ := op["error"].(object); e == nil || e["code"] != float64(1) {
			t.Errorf("%v", op)
		}
		if list := p.must("GET", "/compute/v1/images?folderId=default", nil); len(list["images"].([]any)) != 0 {
			t.Errorf("left: %v", list)
		}
	}
}

// TestKilledInTheMiddleOfAnImport kills the daemon whenever another part of a source
// was fetched, more often than an operation is begun that gets nowhere.
func TestKilledInTheMiddleOfAnImport(t *testing.T) {
	const size, step, kills = 512 * mib, 64 * mib, 6
	p := newProcess(t).start()
	source := offer(t, disk(size, 7))
	var next atomic.Int64
	next.Store(step)
	reached := make(chan struct{})
	source.gate = func(r *http.Request) {
		if source.sent.Load() < next.Load() {
			return
		}
		select {
		case reached <- struct{}{}:
		case <-r.Context().Done():
			return
		}
		<-r.Context().Done()
	}
	op := p.must("POST", "/compute/v1/images", object{"folderId": "default", "name": "big", "uri": source.URL + "/?sig=SECRET"})
	for n := range kills {
		kept := p.manifests()
		p.eventually("fetched", func() bool {
			select {
			case <-reached:
				return true
			default:
				return false
			}
		})
		p.eventually("kept", func() bool { return !slices.Equal(p.manifests(), kept) })
		p.kill()
		before := source.sent.Load()
		t.Logf("fetched %d of %d MiB before kill %d", before/mib, size/mib, n+1)
		next.Store(before + step)
		if n == kills-1 {
			next.Store(math.MaxInt64)
		}
		p.start()
	}
	end := p.wait(op)
	if end["error"] != nil {
		t.Fatalf("%v", end)
	}
	response := end["response"].(object)
	if response["size"] != fmt.Sprint(size) || response["status"] != "READY" {
		t.Errorf("%v", response)
	}
	t.Logf("fetched %d MiB for %d", source.sent.Load()/mib, size/mib)
	p.stop()
	if strings.Contains(p.log.String(), "SECRET") {
		t.Errorf("the secret is in the log: %s", p.log)
	}
}

// manifests are the names of those in the store, drafts' among them.
func (p *process) manifests() (names []string) {
	entries, err := os.ReadDir(filepath.Join(p.dir, "data/store/volume/manifests"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		p.t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestNBD reads an image and a disk over NBD and compares them with their source.
func TestNBD(t *testing.T) {
	if _, err := exec.LookPath("qemu-img"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("qemu-img is not installed")
	}
	p := newProcess(t).start()
	content := disk(8*mib, 3)
	file := filepath.Join(p.dir, "disk.raw")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	image := p.do("POST", "/compute/v1/images", object{"folderId": "default", "name": "one", "uri": offer(t, content).URL})
	p.do("POST", "/compute/v1/disks", object{"folderId": "default", "name": "d", "zoneId": "z", "size": "8388608", "imageId": image["id"]})
	for _, name := range []string{"image/one", "disk/d"} {
		uri := "nbd+unix:///" + name + "?socket=" + filepath.Join(p.dir, "data/run/nbd.sock")
		if out, err := exec.Command("qemu-img", "compare", "-f", "raw", "-F", "raw", file, uri).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s\n%s", name, err, out, p.log)
		}
	}
}

// A client that came by REST is told where gRPC is, whoever chose the port.
func TestEndpoints(t *testing.T) {
	p := newProcess(t).start()
	for _, e := range p.must("GET", "/endpoints", nil)["endpoints"].([]any) {
		if got := e.(object)["address"]; got != p.grpc || p.grpc == "" {
			t.Errorf("%v is at %v, want %s", e.(object)["id"], got, p.grpc)
		}
	}
}

// TestSocketMode looks at who may connect to the local sockets.
func TestSocketMode(t *testing.T) {
	p := newProcess(t).start()
	for _, name := range []string{"blockmill.sock", "nbd.sock"} {
		info, err := os.Stat(filepath.Join(p.dir, "data/run", name))
		if err != nil || info.Mode().Perm() != 0o660 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	// A second daemon must not take the store from the first.
	second := exec.Command(os.Args[0], "--data-dir", filepath.Join(p.dir, "data"), "--metrics-listen", anyPort)
	second.Env = append(os.Environ(), asDaemon+"=1")
	out, err := second.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "open store") {
		t.Errorf("a second one: %v, %s", err, out)
	}
	p.signal(syscall.SIGHUP)
	p.eventually("reloaded", func() bool { return strings.Contains(p.log.String(), "was read again") })
}
