package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The example of the packages is taken as it is, and so is what stands in its
// comments; and so are those of the operator's guide.
func TestExamples(t *testing.T) {
	example, err := os.ReadFile("../../scripts/packaging/blockmilld.yaml")
	if err != nil {
		t.Fatal(err)
	}
	guide, err := os.ReadFile("OPERATING.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := []string{string(example), uncommented(string(example))}
	for _, m := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(guide), -1) {
		examples = append(examples, m[1])
	}
	if len(examples) < 4 {
		t.Fatal("the guide has no examples")
	}
	for _, text := range examples {
		path := filepath.Join(t.TempDir(), "blockmilld.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		cmd := rootCommand()
		cmd.SetArgs([]string{"config", "check", "--config", path})
		cmd.SetOut(&out)
		if err := cmd.ExecuteContext(t.Context()); err != nil || out.String() != "ok\n" {
			t.Errorf("%s, %v:\n%s", out.String(), err, text)
		}
	}
}

// uncommented is the YAML in the comments of a file: their lines that are keys
// or lie below one.
func uncommented(text string) string {
	key := regexp.MustCompile(`^# ( *-? ?[a-z_]+:.*)$`)
	var out strings.Builder
	for line := range strings.Lines(text) {
		if m := key.FindStringSubmatch(strings.TrimSuffix(line, "\n")); m != nil && !strings.Contains(line, "blockmilld ") {
			out.WriteString(m[1] + "\n")
		}
	}
	return out.String()
}
