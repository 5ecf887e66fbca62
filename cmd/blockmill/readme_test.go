package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadme runs the examples of README.md, those below "Use", one after the
// other in a directory that has a disk.raw.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, use, ok := strings.Cut(string(readme), "\n## Use\n")
	if !ok {
		t.Fatal("README.md has no section Use")
	}
	blocks := strings.Split(use, "```sh\n")[1:]
	if len(blocks) == 0 {
		t.Fatal("README.md has no examples")
	}
	dir := t.TempDir()
	if err := writeDisk(filepath.Join(dir, "disk.raw"), 1); err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(exe, filepath.Join(dir, "blockmill")); err != nil {
		t.Fatal(err)
	}
	for _, block := range blocks {
		script, _, _ := strings.Cut(block, "```")
		cmd := exec.CommandContext(t.Context(), "bash", "-euxc", script)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
}
