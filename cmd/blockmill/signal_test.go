package main

import (
	"bufio"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A signal ends the program with one line, and removes what it had begun.
func TestInterrupt(t *testing.T) {
	dir := t.TempDir()
	src := filepath.Join(dir, "src")
	p := make([]byte, 128<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(p) // never fails
	if err := os.WriteFile(src, p, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			stderr, err := interrupt(t, sig, "convert", "--progress=json", "-j", "1", "-O", "qcow2", "-c", "zlib", "-f", "raw", src, filepath.Join(dir, "dst"))
			exit, ok := errors.AsType[*exec.ExitError](err)
			if !ok || exit.ExitCode() != exitFailed {
				t.Errorf("ended with %v, want exit status %d", err, exitFailed)
			}
			if last := stderr[len(stderr)-1]; last != "blockmill: interrupted" {
				t.Errorf("last line %q", last)
			}
			left, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			if len(left) != 1 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// interrupt runs the program and sends it a signal once it has done some of
// its work. It returns the lines of stderr.
func interrupt(t *testing.T, sig os.Signal, args ...string) ([]string, error) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, args...)
	cmd.Args[0] = "blockmill"
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for scanner := bufio.NewScanner(pipe); scanner.Scan(); {
		lines = append(lines, scanner.Text())
		if len(lines) == 1 && strings.HasPrefix(lines[0], "{") {
			if err := cmd.Process.Signal(sig); err != nil {
				t.Error(err)
			}
		}
	}
	return lines, cmd.Wait()
}
