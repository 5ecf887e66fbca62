package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

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
