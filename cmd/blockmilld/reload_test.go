package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
)

// reloading is a daemon whose configuration changes while it runs.
type reloading struct {
	*process
	file string
	read int // of the log
}

// The ends of what the daemon says when it reads its configuration.
const (
	readAgain = "the configuration was read again"
	stays     = "the configuration stays as it was"
	restart   = "the configuration has changes that only a restart takes over"
)

// reload gives the daemon another configuration, waits for a text in its log and
// returns what it has said since the last time.
func (r *reloading) reload(text, end string) string {
	r.t.Helper()
	if err := os.WriteFile(r.file, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	r.signal(syscall.SIGHUP)
	var said string
	r.eventually("reloaded", func() bool {
		log := r.log.String()[r.read:]
		_, rest, ended := strings.Cut(log, end)
		line, _, whole := strings.Cut(rest, "\n")
		said = log[:len(log)-len(rest)+len(line)]
		return ended && whole
	})
	r.read += len(said)
	return said
}

// TestReload changes everything that SIGHUP takes over but tokens and certificates,
// of which TestGuarded sees, and something of what it does not.
func TestReload(t *testing.T) {
	const accounts = `
auth:
  accounts:
  - {id: alice, folders: {f: %s}, token_sha256: [%s]}
`
	with := func(role, more string) string { return fmt.Sprintf(accounts, role, sum("alice's")) + more }
	p := newProcess(t)
	p.bare, p.token = true, "alice's"
	r := &reloading{process: p, file: filepath.Join(p.dir, "blockmilld.yaml")}
	if err := os.WriteFile(r.file, []byte(with("editor", "")), 0o600); err != nil {
		t.Fatal(err)
	}
	p.start("--config", r.file)
	source := offer(t, disk(mib, 1)).URL
	create := object{"folderId": "f", "name": "one", "uri": source}
	forbidden := func(when string) {
		t.Helper()
		op := p.wait(p.must("POST", "/compute/v1/images", create))
		if e, ok := op["error"].(object); !ok || e["code"] != float64(codes.InvalidArgument) {
			t.Errorf("a source on this machine, %s: %v", when, op)
		}
	}

	forbidden("by default")
	r.reload(with("editor", "fetch: {allow: [127.0.0.0/8], allow_http: true}\n"), readAgain)
	image := p.do("POST", "/compute/v1/images", create)
	path := "/compute/v1/images/" + image["id"].(string)
	r.reload(with("editor", ""), readAgain)
	create["name"] = "two"
	forbidden("when they are forbidden again")

	r.reload(with("viewer", ""), readAgain)
	p.must("GET", path, nil)
	if code, doc := p.ask("DELETE", path, nil); code != http.StatusForbidden {
		t.Errorf("as a viewer: %d %v", code, doc)
	}
	r.reload(strings.ReplaceAll(with("viewer", ""), "{f:", "{g:"), readAgain)
	if code, doc := p.ask("GET", path, nil); code != http.StatusNotFound {
		t.Errorf("with another folder: %d %v", code, doc)
	}
	p.must("GET", "/compute/v1/images?folderId=g", nil)

	// What was not taken changes nothing; what is not said is as it is by default.
	audits := func(said string) int { return strings.Count(said, "msg=audit") }
	remove := func() { p.ask("DELETE", path, nil) }
	r.reload(with("editor", ""), readAgain)
	remove()
	said := r.reload(with("editor", "log: {level: warn}\nlimits: {connections: many}\n"), stays)
	if audits(said) != 1 {
		t.Errorf("at first it says %s", said)
	}
	remove()
	said = r.reload(with("editor", "log: {level: warn}\noperations: {workers: 3}\n"), restart)
	if audits(said) != 1 || !strings.HasSuffix(said, " keys=operations.workers") {
		t.Errorf("after what cannot be taken it says %s", said)
	}
	remove()
	said = r.reload(with("editor", "log: {format: json}\ngrpc: {tls: {certificate: a, key: b}}\nstore: {shards: [/a, /b], data: 2}\n"), readAgain)
	want := `keys="log.format, grpc.tls.certificate, grpc.tls.key, store.shards, store.data"`
	if audits(said) != 0 || !strings.Contains(said, want) {
		t.Errorf("at a level above that of audits it says %s, want %s", said, want)
	}
	remove()
	if said = r.reload(with("editor", ""), readAgain); audits(said) != 1 || strings.Contains(said, restart) {
		t.Errorf("with the first configuration again it says %s", said)
	}
}

// What the defaults are marked with is what happens; of tls it is the files.
func TestReloadedKeys(t *testing.T) {
	section := regexp.MustCompile(`^([a-z_]+):`)
	key := regexp.MustCompile(`^  ([a-z_]+):`)
	var above string
	var marked []string
	for line := range strings.Lines(string(defaults)) {
		if m := section.FindStringSubmatch(line); m != nil {
			above = m[1]
		}
		if m := key.FindStringSubmatch(line); m != nil && m[1] != "tls" && strings.HasSuffix(line, "(reload)\n") {
			marked = append(marked, above+"."+m[1])
		}
	}
	want := slices.Sorted(slices.Values(reloaded[:]))
	if diff := cmp.Diff(want, slices.Sorted(slices.Values(marked))); diff != "" {
		t.Errorf("marked (-reloaded +marked):\n%s", diff)
	}
}

// TestReloadFolders names a folder while the daemon runs: the status page shows what
// is in it from then on, and that there are accounts.
func TestReloadFolders(t *testing.T) {
	with := func(folders string) string {
		return fmt.Sprintf("fetch: {allow: [127.0.0.0/8], allow_http: true}\nauth: {accounts: [{id: alice, folders: {%s}, token_sha256: [%s]}]}\n", folders, sum("alice's"))
	}
	p := newProcess(t)
	p.bare, p.token = true, "alice's"
	r := &reloading{process: p, file: filepath.Join(p.dir, "blockmilld.yaml")}
	if err := os.WriteFile(r.file, []byte("fetch: {allow: [127.0.0.0/8], allow_http: true}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.start("--config", r.file)
	p.do("POST", "/compute/v1/images", object{"folderId": "g", "name": "one", "uri": offer(t, disk(mib, 1)).URL})
	shown := func() (images, warnings int) {
		t.Helper()
		status := p.must("GET", "/status.json", nil)
		return len(status["images"].([]any)), len(status["node"].(object)["warnings"].([]any))
	}
	if images, warnings := shown(); images != 0 || warnings != 1 {
		t.Errorf("at first %d images and %d warnings are shown", images, warnings)
	}
	r.reload(with(`"*": admin, g: admin`), readAgain)
	if images, warnings := shown(); images != 1 || warnings != 0 {
		t.Errorf("with accounts and their folder %d images and %d warnings are shown", images, warnings)
	}
}
