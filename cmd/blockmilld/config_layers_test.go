package main

import (
	"errors"
	"os"
	"path/filepath"
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
