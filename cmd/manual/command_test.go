package manual_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/blockmill/blockmill/cmd/manual"
)

func TestCommand(t *testing.T) {
	root := &cobra.Command{Use: "program"}
	root.AddCommand(manual.Command(), &cobra.Command{Use: "act", Run: func(*cobra.Command, []string) {}})
	dir := filepath.Join(t.TempDir(), "share", "man")
	root.SetArgs([]string{"man", dir})
	if err := root.Execute(); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(dir, "program.1"))
	if err != nil || !strings.Contains(string(page), `"PROGRAM" "1"`) {
		t.Errorf("the page %s, error %v", page, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "program-act.1")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "program-man.1")); err == nil {
		t.Error("the hidden command has a page")
	}
}
