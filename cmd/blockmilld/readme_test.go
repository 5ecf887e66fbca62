package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadme runs the examples of README.md below "Quick start", in a directory
// that has a disk.qcow2, with ports that are free: curl is led to where the daemon says
// that it listens.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, start, ok := strings.Cut(string(readme), "\n## Quick start\n")
	start, _, _ = strings.Cut(start, "\n## ")
	blocks := strings.Split(start, "```sh\n")[1:]
	if !ok || len(blocks) < 2 {
		t.Fatal("README.md has no quick start")
	}
	script := "trap 'kill %1; wait; cat log' EXIT\n" +
		"curl() { command curl \"${@/127.0.0.1:9441/$(sed -n 's/.*for=rest address=\\([^ ]*\\) .*/\\1/p' log)}\"; }\n"
	for _, block := range blocks {
		example, _, _ := strings.Cut(block, "```")
		script += example
	}
	script += "curl -sf http://127.0.0.1:9441/ | grep '<title>Blockmill</title>'\n" +
		"curl -sf http://127.0.0.1:9441/status.json\n"
	script = strings.Replace(script, "blockmilld &\n", "blockmilld 2>log &\n", 1)

	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", dir+"/", ".", "../blockmill")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.WriteFile(filepath.Join(dir, "disk.raw"), make([]byte, 4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	script = "blockmill convert -f raw -O qcow2 disk.raw disk.qcow2\n" + script
	cmd := exec.CommandContext(t.Context(), "bash", "-euxc", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"),
		"BLOCKMILL_GRPC_LISTEN=127.0.0.1:0", "BLOCKMILL_REST_LISTEN=127.0.0.1:0", "BLOCKMILL_METRICS_LISTEN=127.0.0.1:0",
		// No other daemon that listens where this one would.
		"BLOCKMILL_ENDPOINT="+filepath.Join(dir, "var/blockmill/run/blockmill.sock"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	for _, want := range []string{"web-1", "before-upgrade", `"name":"debian"`, `"image_name":"debian"`, "every caller on this machine"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %s in what the examples print:\n%s", want, out)
		}
	}
}
