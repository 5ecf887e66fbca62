package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func blockbench(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := root()
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(t.Output())
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestList(t *testing.T) {
	out, err := blockbench(t, "list", "-o", "json", "store")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name string
		Owed []string
	}
	if err := json.Unmarshal([]byte(out), &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) != 2 || cases[1].Name != "store/peers" || strings.Join(cases[1].Owed, " ") != "≥4× ≥8× ≥3×" {
		t.Errorf("list = %+v", cases)
	}
	if table, err := blockbench(t, "list"); err != nil || !strings.Contains(table, "convert/qcow2-raw") {
		t.Errorf("list = %q, %v", table, err)
	}
}

// A run of a case whose programs are missing still leaves all its files; they
// can be compared and shown again.
func TestRunCompareShow(t *testing.T) {
	dir := t.TempDir()
	one, again := filepath.Join(dir, "one"), filepath.Join(dir, "again")
	t.Setenv("PATH", dir)
	_, err := blockbench(t, "run", "convert/raw-raw", "--corpus", dir, "--scratch", filepath.Join(dir, "scratch"), "--out", one, "--runs", "1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := blockbench(t, "run", "convert/raw-raw", "--corpus", dir, "--scratch", filepath.Join(dir, "scratch"), "--out", one, "--add"); err != nil {
		t.Fatal(err)
	}
	if _, err := blockbench(t, "show", one, filepath.Join(one, resultsFile), again); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{resultsFile, benchstatFile, reportFile, tableFile} {
		a, err := os.ReadFile(filepath.Join(one, name))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(again, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a, b) {
			t.Errorf("%s differs when shown again", name)
		}
		if bytes.Contains(a, []byte(dir)) {
			t.Errorf("%s names a directory of this machine", name)
		}
	}
	if out, err := blockbench(t, "compare", one, again); err != nil || !strings.HasPrefix(out, "CASE") {
		t.Errorf("compare = %q, %v", out, err)
	}
}

// What a run is to be added to is looked at before it, and never written over when
// it cannot be read.
func TestRunAddsToWhatCanBeRead(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	file := filepath.Join(dir, resultsFile)
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := blockbench(t, "run", "convert/raw-raw", "--corpus", dir, "--scratch", filepath.Join(dir, "scratch"), "--out", dir, "--add"); err == nil {
		t.Error("added to what cannot be read")
	}
	if p, err := os.ReadFile(file); err != nil || string(p) != "{" {
		t.Errorf("the results of before are %q now, %v", p, err)
	}
}

func TestExitStatus(t *testing.T) {
	tests := []struct {
		args []string
		want int
	}{
		{[]string{"nothing"}, 2},
		{[]string{"list", "-o", "yaml"}, 2},
		{[]string{"load", "-o", "yaml", "--image", "x"}, 2},
		{[]string{"run", "--peers", "qemuimg"}, 2},
		{[]string{"run", "convert", "--peers", "borg"}, 2},
		{[]string{"run", "--runs", "0"}, 2},
		{[]string{"run", "nothing"}, 2},
		{[]string{"run", "--nothing"}, 2},
		{[]string{"run", "--size", "4X"}, 2},
		{[]string{"corpus", "--size", "9999999T"}, 2},
		{[]string{"corpus", "one", "two"}, 2},
		{[]string{"corpus", "--size", "1M", "absent"}, 1},
		{[]string{"load"}, 2},
		{[]string{"load", "--nbd", "http://x"}, 2},
		{[]string{"load", "--nbd", "nbd://localhost", "--block", "0"}, 2},
		{[]string{"load", "--endpoint", "/no/such/socket", "--image", "x"}, 1},
		{[]string{"compare", "one"}, 2},
		{[]string{"compare", "absent", "absent"}, 1},
		{[]string{"show", "absent", "out"}, 1},
	}
	for _, tt := range tests {
		_, err := blockbench(t, tt.args...)
		if err == nil {
			t.Errorf("%v succeeded", tt.args)
		} else if got := exitStatus(err); got != tt.want {
			t.Errorf("%v: exit status %d, want %d (%v)", tt.args, got, tt.want, err)
		}
	}
}
