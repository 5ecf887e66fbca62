package systemd_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// maxExposure is what the service may be exposed at most, of 10, in
// systemd's opinion.
const maxExposure = 1.5

// analyze runs systemd-analyze on the units. It is everywhere where CI is.
func analyze(t *testing.T, root string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("systemd-analyze"); err != nil && os.Getenv("CI") != "true" {
		t.Skip("systemd-analyze is not installed")
	}
	cmd := exec.CommandContext(t.Context(), "systemd-analyze", append(args, "--root="+root, "--man=no")...)
	cmd.Env = append(os.Environ(), "SYSTEMD_COLORS=0", "SYSTEMD_EMOJI=0", "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("systemd-analyze %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// tree lays the units out as they are installed, with programs and targets
// that are enough for systemd-analyze, and returns its root.
func tree(t *testing.T, dropins ...string) string {
	t.Helper()
	root := t.TempDir()
	units := filepath.Join(root, "usr/lib/systemd/system")
	write := func(path, text string, mode os.FileMode) {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range unitFiles(t) {
		write(filepath.Join(units, name), read(t, name), 0o644)
	}
	for _, name := range dropins {
		write(filepath.Join(units, "blockmilld.service.d", name), read(t, name), 0o644)
	}
	for _, target := range []string{
		"sysinit", "basic", "shutdown", "sockets", "local-fs", "network-online", "multi-user",
	} {
		write(filepath.Join(units, target+".target"), "[Unit]\nDescription="+target+"\n", 0o644)
	}
	for _, slice := range []string{"system", "-"} {
		write(filepath.Join(units, slice+".slice"), "[Unit]\nDescription="+slice+"\n", 0o644)
	}
	for _, program := range []string{"usr/bin/blockmilld", "bin/sh"} {
		write(filepath.Join(root, program), "#!/bin/sh\n", 0o755)
	}
	return root
}

func unitFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	for _, pattern := range []string{"*.service", "*.socket"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, names...)
	}
	if len(files) < 4 {
		t.Fatalf("units are missing: %v", files)
	}
	return files
}

func read(t *testing.T, name string) string {
	t.Helper()
	p, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(p)
}

// Every unit is one that systemd takes without a word.
func TestVerify(t *testing.T) {
	for _, dropins := range [][]string{nil, {"block-devices.conf"}} {
		root := tree(t, dropins...)
		if out := analyze(t, root, append([]string{"verify", "--recursive-errors=no"}, unitFiles(t)...)...); out != "" {
			t.Errorf("with %v systemd says:\n%s", dropins, out)
		}
	}
}

func TestExposure(t *testing.T) {
	root := tree(t)
	out := analyze(t, root, "security", "--offline=true", fmt.Sprintf("--threshold=%.0f", maxExposure*10), "blockmilld.service")
	m := regexp.MustCompile(`exposure level for blockmilld.service: ([0-9.]+)`).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("no exposure level in:\n%s", out)
	}
	if level, err := strconv.ParseFloat(m[1], 64); err != nil || level > maxExposure {
		t.Errorf("exposure is %s, want at most %.1f\n%s", m[1], maxExposure, out)
	}
}

// What the daemon counts on: its supervision, its directories, the names of
// the sockets that it is handed.
func TestPromises(t *testing.T) {
	tests := []struct {
		file  string
		lines []string
	}{
		{"blockmilld.service", []string{
			"Type=notify", "WatchdogSec=30s", "ExecReload=/bin/sh -c 'kill -HUP $MAINPID'",
			"StateDirectory=blockmill", "RuntimeDirectory=blockmill", "ConfigurationDirectory=blockmill",
			"User=blockmill", "Restart=on-failure",
		}},
		{"blockmilld-grpc.socket", []string{
			"FileDescriptorName=grpc", "ListenStream=/run/blockmill/blockmill.sock",
			"ListenStream=127.0.0.1:9440", "SocketMode=0660", "Service=blockmilld.service",
		}},
		{"blockmilld-rest.socket", []string{"FileDescriptorName=rest", "ListenStream=127.0.0.1:9441", "Service=blockmilld.service"}},
		{"blockmilld-nbd.socket", []string{"FileDescriptorName=nbd", "ListenStream=/run/blockmill/nbd.sock", "SocketMode=0660"}},
		{"block-devices.conf", []string{"PrivateDevices=no", "ReadWritePaths=-/srv/blockmill", "SupplementaryGroups=disk"}},
	}
	for _, tt := range tests {
		text := "\n" + read(t, tt.file)
		for _, line := range tt.lines {
			if !strings.Contains(text, "\n"+line+"\n") {
				t.Errorf("%s has no line %q", tt.file, line)
			}
		}
	}
}
