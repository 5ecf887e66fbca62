package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

// TestLayers gives keys in several places: the defaults, the file, the environment
// and the flags, each before the one before it.
func TestLayers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "blockmilld.yaml")
	if err := os.WriteFile(path, []byte("log: {level: error}\nlimits: {streams: 2, calls: 3}\ndata_dir: file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.String("data-dir", "", "")
	flags.String("log-level", "", "")
	if err := flags.Parse([]string{"--data-dir=flag"}); err != nil {
		t.Fatal(err)
	}
	environ := []string{"BLOCKMILL_DATA_DIR=environment", "BLOCKMILL_LIMITS_CALLS=4", "BLOCKMILL_ENDPOINT=a client's"}
	_, c, err := sources{path: path, flags: flags, environ: environ}.load()
	if err != nil {
		t.Fatal(err)
	}
	if c.DataDir != "flag" || c.Limits.Calls != 4 || c.Limits.Streams != 2 || c.Log.Level != "error" || c.Limits.Requests != 128 {
		t.Errorf("data_dir %s, log.level %s, limits %+v", c.DataDir, c.Log.Level, c.Limits)
	}
}

// TestUnknownKeys gives keys that there are not.
func TestUnknownKeys(t *testing.T) {
	for _, text := range []string{"nothing: 1\n", "limits: {connection: 1}\n", "auth: {accounts: [{id: a, token: b}]}\n"} {
		path := filepath.Join(t.TempDir(), "blockmilld.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := (sources{path: path}).load(); !errors.Is(err, errUnknownKey) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, _, err := (sources{environ: []string{"BLOCKMILL_LIMITS_CONNECTION=1"}}).load(); !errors.Is(err, errUnknownKey) {
		t.Errorf("in the environment: %v", err)
	}
}

// TestWrongValues gives values that could be taken for others.
func TestWrongValues(t *testing.T) {
	for text, want := range map[string]string{
		"stop_timeout: 30\n":                                "unit",
		"maintenance: {scrub_interval: 7}\n":                "unit",
		"limits: {connections: 1.5}\n":                      "whole",
		"auth: {accounts: [{id: a, uids: [-1]}]}\n":         "uids",
		"auth: {accounts: [{id: a, gids: [4294967296]}]}\n": "gids",
		"memory: {limit: 1.5}\n":                            "memory.limit",
		"store: {reserve: automatic}\n":                     "store.reserve",
		"store: {reserve: -1}\n":                            "store.reserve",
		"store: {reserve: true}\n":                          "store.reserve",
		"grpc: {listen: [\"127.0.0.1:99999\"]}\n":           "grpc.listen",
		"export: {buckets: [a]}\n":                          "export",
		"export: {secret_key_file: /a}\n":                   "export",
		"auth: {accounts: [{id: operator, uids: [1]}]}\n":   "the id \"operator\" is the node's own",
	} {
		path := filepath.Join(t.TempDir(), "blockmilld.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := (sources{path: path}).load(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want an error that says %q", text, err, want)
		}
	}
	for text, want := range map[string]string{"{}": "auto", "{reserve: auto}": "auto", "{reserve: 1073741824}": "1G", "{reserve: 64M}": "64M", "{reserve: 0}": "0"} {
		path := filepath.Join(t.TempDir(), "blockmilld.yaml")
		if err := os.WriteFile(path, []byte("store: "+text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, c, err := (sources{path: path}).load(); err != nil || c.Store.Reserve.String() != want {
			t.Errorf("store %q: error %v, reserve %v, want %v", text, err, c.Store.Reserve, want)
		}
	}
	for _, text := range []string{"stop_timeout: 0\n", "limits: {connections: \"10\"}\n", "memory: {limit: 536870912}\n", "auth: {accounts: [{id: a, uids: [1000]}]}\n"} {
		path := filepath.Join(t.TempDir(), "blockmilld.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := (sources{path: path}).load(); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestDiskDirs gives directories of disks as they may be written.
func TestDiskDirs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "blockmilld.yaml")
	load := func(text string, environ ...string) (*config, error) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, c, err := sources{path: path, environ: environ}.load()
		return c, err
	}
	for _, tt := range []struct {
		text    string
		environ []string
		want    []diskDir
	}{
		{"disks: {dirs: [/a, {dir: /b, methods: [lazy, copy]}]}\n", nil, []diskDir{{Dir: "/a"}, {Dir: "/b", Methods: []string{"lazy", "copy"}}}},
		{"disks: {dirs: /a}\n", nil, []diskDir{{Dir: "/a"}}},
		{"disks: {dirs: [/a]}\n", []string{"BLOCKMILL_DISKS_DIRS=/c,/d"}, []diskDir{{Dir: "/c"}, {Dir: "/d"}}},
	} {
		c, err := load(tt.text, tt.environ...)
		if err != nil {
			t.Errorf("%q: %v", tt.text, err)
			continue
		}
		if diff := cmp.Diff(tt.want, c.Disks.Dirs); diff != "" {
			t.Errorf("%q %q (-want +got):\n%s", tt.text, tt.environ, diff)
		}
	}
	for _, text := range []string{
		"disks: {methods: [magic]}\n", "disks: {dirs: [{dir: /a, methods: [blank]}]}\n", "disks: {dirs: [{methods: [lazy]}]}\n",
		"disks: {dirs: [{dir: /a, method: lazy}]}\n",
	} {
		if c, err := load(text); err == nil {
			t.Errorf("%q gives %+v", text, c.Disks)
		}
	}
}

// TestExitStatus holds command lines against the statuses of the other programs.
func TestExitStatus(t *testing.T) {
	for args, want := range map[string]int{
		"--bogus": 2, "extra": 2, "config bogus": 2, "config check extra": 2, "config print --bogus": 2,
		"config check": 0, "config": 0, "config check --config nowhere.yaml": 1, "config check --log-level loud": 1,
	} {
		if got := run(strings.Fields(args)); got != want {
			t.Errorf("blockmilld %s: status %d, want %d", args, got, want)
		}
	}
}
