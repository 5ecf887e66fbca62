package suite_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/blockmill/blockmill/bench"
	"github.com/blockmill/blockmill/bench/program"
	"github.com/blockmill/blockmill/bench/result"
	"github.com/blockmill/blockmill/bench/suite"
	"github.com/google/go-cmp/cmp"
)

// Every case must hold together: what a goal or a step names exists.
func TestCases(t *testing.T) {
	seen := make(map[string]bool)
	for _, c := range suite.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			if seen[c.Name] {
				t.Error("two cases have this name")
			}
			seen[c.Name] = true
			if c.Title == "" || c.Shows == "" || len(c.Caches) == 0 || len(c.Steps) == 0 {
				t.Errorf("title, shows, caches or steps are missing: %+v", c)
			}
			byName := make(map[string]bench.Contender)
			for _, contender := range c.Contenders {
				byName[contender.Name] = contender
				for step, cmd := range contender.Steps {
					if !slices.Contains(c.Steps, step) {
						t.Errorf("%s has a step %q that the case has not", contender.Name, step)
					}
					checkTemplates(t, c, cmd)
				}
			}
			for _, g := range c.Goals {
				checkGoal(t, g, byName)
			}
		})
	}
}

// imageName is what a store takes for a name.
var imageName = regexp.MustCompile(`^[a-z]([-_a-z0-9]{0,61}[a-z0-9])?$`)

var variable = regexp.MustCompile(`\$\w+`)

func checkTemplates(t *testing.T, c bench.Case, cmd bench.Command) {
	t.Helper()
	words := strings.Join(slices.Concat(cmd.Args, cmd.Reads, cmd.Cools, []string{cmd.Dir, cmd.Writes}), " ")
	for i, arg := range cmd.Args {
		if arg == "--name" && c.Contenders[0].Program == "blockmill" && !imageName.MatchString(cmd.Args[i+1]) {
			t.Errorf("an image cannot be named %q", cmd.Args[i+1])
		}
	}
	for _, v := range variable.FindAllString(words, -1) {
		if !slices.Contains([]string{"$CORPUS", "$FIXTURE", "$SCRATCH", "$MODULE"}, v) && (v != "$SERVER" || cmd.Serves == "") {
			t.Errorf("unknown variable %s in %s", v, words)
		}
	}
	for _, m := range regexp.MustCompile(`\$CORPUS/([\w.-]+)`).FindAllStringSubmatch(words, -1) {
		if !slices.Contains(c.Needs, m[1]) {
			t.Errorf("%s is used and not among the needs", m[1])
		}
	}
	if strings.Contains(words, "$FIXTURE") && c.Prepare == nil {
		t.Errorf("a fixture that nobody makes: %s", words)
	}
}

func checkGoal(t *testing.T, g bench.Goal, byName map[string]bench.Contender) {
	t.Helper()
	if (g.AtLeast > 0) == (g.AtMost > 0) {
		t.Errorf("goal %q is not one of at least and at most", g.Text)
	}
	if _, ok := byName[bench.Ours].Steps[g.Step]; !ok && g.Step != "" {
		t.Errorf("goal %q is of a step that we do not do", g.Text)
	}
	step := g.VersusStep
	if step == "" {
		step = g.Step
	}
	for _, name := range g.Versus {
		if _, ok := byName[name].Steps[step]; !ok {
			t.Errorf("goal %q: %s does not do %q", g.Text, name, step)
		}
	}
}

func TestChoose(t *testing.T) {
	tests := []struct {
		patterns []string
		want     []string
		err      string
	}{
		{patterns: []string{"store"}, want: []string{"store/qemu", "store/peers"}},
		{patterns: []string{"micro", "convert/vmdk-raw"}, want: []string{"convert/vmdk-raw", "micro"}},
		{patterns: []string{"convert/z*-raw"}, want: []string{"convert/zlib-raw", "convert/zstd-raw"}},
		{patterns: []string{"store", "nothing"}, err: `no case matches "nothing"`},
		{patterns: []string{"["}, err: `case pattern "[": syntax error in pattern`},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.patterns, " "), func(t *testing.T) {
			cases, err := suite.Choose(suite.Cases(), tt.patterns)
			if got := errorText(err); got != tt.err {
				t.Fatalf("error = %q, want %q", got, tt.err)
			}
			var got []string
			for _, c := range cases {
				got = append(got, c.Name)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Choose (-want +got):\n%s", diff)
			}
		})
	}
	if all, err := suite.Choose(suite.Cases(), nil); err != nil || len(all) != len(suite.Cases()) {
		t.Errorf("Choose of nothing = %d cases, %v; want all", len(all), err)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// The floor of deduplication, on images small enough to count by hand.
func TestFloor(t *testing.T) {
	corpus := t.TempDir()
	images := map[string]string{
		"a.raw": "ab0ab", // two distinct blocks and zeros
		"c.raw": "abcd",  // two more
		"b.raw": "0cdeA", // one more, and a part of a block
	}
	for name, blocks := range images {
		var p []byte
		for _, b := range blocks {
			size := 4096
			if b == 'A' {
				size = 100
			}
			p = append(p, slices.Repeat([]byte{byte(b) - '0'}, size)...)
		}
		if err := os.WriteFile(filepath.Join(corpus, name), p, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cases, err := suite.Choose(suite.Cases(), []string{"dedup"})
	if err != nil {
		t.Fatal(err)
	}
	r, err := bench.NewRunner(bench.Options{
		Corpus: corpus, Scratch: t.TempDir(), Programs: program.NewSet(nil, nil, nil),
	}).Run(t.Context(), cases)
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]float64)
	for _, s := range r.Cases[0].Samples {
		got[s.Step] = s.Values[result.NewBytes] / 4096
	}
	want := map[string]float64{"first": 2, "upgraded": 2, "same release": 2}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("new blocks (-want +got):\n%s", diff)
	}
}
