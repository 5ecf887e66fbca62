package bench_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/blockmill/blockmill/bench"
	"github.com/blockmill/blockmill/bench/program"
	"github.com/blockmill/blockmill/bench/result"
	"github.com/blockmill/blockmill/blockio"
	"github.com/google/go-cmp/cmp"
)

// place is a corpus with one image, and the programs of the system, with a
// shell in the place of ours.
func place(t *testing.T) bench.Options {
	t.Helper()
	bin, corpus := t.TempDir(), t.TempDir()
	if err := os.Symlink("/bin/sh", filepath.Join(bin, bench.Ours)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(corpus, "a.raw"), bytes.Repeat([]byte("guest"), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	return bench.Options{
		Corpus: corpus, Scratch: t.TempDir(), Rounds: 2, Path: "/usr/bin:/bin",
		Programs: program.NewSet([]string{bin, "/usr/bin", "/bin"}, nil, nil),
	}
}

func run(t *testing.T, opts bench.Options, cases ...bench.Case) *result.Run {
	t.Helper()
	r, err := bench.NewRunner(opts).Run(t.Context(), cases)
	if err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(opts.Scratch)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) > 0 {
		t.Errorf("the run left %v in the scratch directory", left)
	}
	return r
}

func copying(script string) map[string]bench.Command {
	return map[string]bench.Command{"copy": {
		Args:  []string{"-c", script, "sh", "$CORPUS/a.raw", "$SCRATCH/out"},
		Reads: []string{"$CORPUS/a.raw"}, Writes: "$SCRATCH/out",
		Check: bench.SameFile("$SCRATCH/out", "$CORPUS/a.raw"),
	}}
}

func copyCase(contenders ...bench.Contender) bench.Case {
	return bench.Case{
		Name: "test/copy", Metric: result.Total, Steps: []string{"copy"},
		Caches:     []result.Cache{result.Cold, result.Warm},
		Contenders: contenders, Needs: []string{"a.raw"},
	}
}

func TestRunTakesTurns(t *testing.T) {
	opts := place(t)
	r := run(t, opts, copyCase(
		bench.Contender{Name: bench.Ours, Program: bench.Ours, Steps: copying(`cat "$1" >"$2"`)},
		bench.Contender{Name: "other", Program: "sh", Steps: copying(`cp "$1" "$2"`)},
	))
	var got []string
	for _, s := range r.Cases[0].Samples {
		if s.Error != "" {
			t.Errorf("%s failed: %s", s.Contender, s.Error)
		}
		got = append(got, string(s.Cache)+" "+s.Contender)
	}
	want := []string{
		"cold blockmill", "cold other", "cold other", "cold blockmill",
		"warm blockmill", "warm other", "warm other", "warm blockmill",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("order of the runs (-want +got):\n%s", diff)
	}
	values := r.Cases[0].Samples[0].Values
	for _, m := range []result.Metric{result.Total, result.Wall, result.Settle, result.MaxRSS, result.Output, result.WriteCalls} {
		if values[m] <= 0 {
			t.Errorf("%s = %v, want more", m, values[m])
		}
	}
	if got := values[result.Wall] + values[result.Settle]; values[result.Total] != got {
		t.Errorf("total = %v, want wall and settle, %v", values[result.Total], got)
	}
}

// Inputs that are to come from the disk do, beside others that do not.
func TestRunCools(t *testing.T) {
	opts := place(t)
	if err := os.WriteFile(filepath.Join(opts.Corpus, "b.raw"), make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	resident := func(env *bench.Env, path string) bool {
		d, err := blockio.OpenDevice(env.Path(path), blockio.DeviceOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		return d.Resident(0, d.Size())
	}
	c := bench.Case{
		Name: "test/cools", Metric: result.Total, Steps: []string{"look"}, Caches: []result.Cache{result.Warm},
		Contenders: []bench.Contender{{Name: bench.Ours, Program: bench.Ours, Steps: map[string]bench.Command{"look": {
			Args: []string{"-c", "true"}, Reads: []string{"$CORPUS/a.raw"}, Cools: []string{"$CORPUS/b.raw"},
			Check: func(_ context.Context, env *bench.Env) error {
				if !resident(env, "$CORPUS/a.raw") || resident(env, "$CORPUS/b.raw") {
					return errors.New("the wrong file is in the page cache")
				}
				return nil
			},
		}}}},
	}
	for _, s := range run(t, opts, c).Cases[0].Samples {
		if s.Error != "" {
			t.Error(s.Error)
		}
	}
}

// Files are served while a command runs, and its check.
func TestRunServes(t *testing.T) {
	fetch := func(ctx context.Context, env *bench.Env) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, env.Path("$SERVER/a.raw"), nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return errors.New(resp.Status)
		}
		return errors.New("seen from " + env.Path("$SERVER"))
	}
	c := copyCase(bench.Contender{Name: bench.Ours, Program: bench.Ours, Steps: map[string]bench.Command{
		"copy": {Args: []string{"-c", `echo "$1" | grep -q '^http://127'`, "sh", "$SERVER/a.raw"}, Serves: "$CORPUS", Check: fetch},
	}})
	for _, s := range run(t, place(t), c).Cases[0].Samples {
		if want := "wrong output: seen from $SERVER"; s.Error != want {
			t.Errorf("error %q, want %q", s.Error, want)
		}
	}
}

func TestRunOfWrongOutput(t *testing.T) {
	c := copyCase(
		bench.Contender{Name: bench.Ours, Program: bench.Ours, Steps: copying(`cat "$1" >"$2"; printf x | dd of="$2" bs=1 seek=7 conv=notrunc 2>/dev/null`)},
		bench.Contender{Name: "short", Program: "sh", Steps: copying(`head -c 10 "$1" >"$2"`)},
		bench.Contender{Name: "failing", Program: "sh", Steps: copying(`echo "no $1" >&2; exit 4`)},
		bench.Contender{Name: "absent", Program: "no-such-program", Steps: copying("")},
	)
	c.Goals = []bench.Goal{{Step: "copy", Metric: result.Total, Versus: []string{"short"}, AtLeast: 1}}
	r := run(t, place(t), c)
	want := map[string]string{
		bench.Ours: "wrong output: byte at 7 is 0x78, want 0x65",
		"short":    "wrong output: length is 10, want 5000",
		"failing":  "exit status 4: no $CORPUS/a.raw",
	}
	for _, s := range r.Cases[0].Samples {
		if s.Error != want[s.Contender] {
			t.Errorf("%s: error %q, want %q", s.Contender, s.Error, want[s.Contender])
		}
	}
	if got := r.Cases[0].Contenders[3].Missing; got != "not available here" {
		t.Errorf("the absent program is %q", got)
	}
	if g := r.Cases[0].Goals[0]; g.Met || g.Value != nil || g.Reason != "copy failed in round 1" {
		t.Errorf("goal of a contender that failed = %+v", g)
	}
}

func TestRunHidesPaths(t *testing.T) {
	opts := place(t)
	contender := bench.Contender{
		Name: bench.Ours, Program: bench.Ours, Env: []string{"SECRET=$SCRATCH/x"},
		Setup: [][]string{{"-c", "true", "$CORPUS"}},
		Steps: copying(`echo "$1 $2 $SECRET $HOME $PWD" >&2; exit 1`),
	}
	p, err := json.Marshal(run(t, opts, copyCase(contender)))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{opts.Corpus, opts.Scratch} {
		if strings.Contains(string(p), dir) {
			t.Errorf("the results name %s:\n%s", dir, p)
		}
	}
	if !strings.Contains(string(p), "$CORPUS/a.raw $SCRATCH/out $SCRATCH/x $SCRATCH/home $SCRATCH") {
		t.Errorf("the error does not name the directories by their variables:\n%s", p)
	}
}

// A store grows over the steps of a round, and begins anew in the next.
func TestRunOfAGrowingStore(t *testing.T) {
	add := func(name string) bench.Command {
		script := `test ! -e "$2/` + name + `" && cat "$1" >"$2/` + name + `" && echo '{"new_bytes": 100, "new_chunks": 4, "name": "x"}'`
		return bench.Command{
			Args:   []string{"-c", script, "sh", "$CORPUS/a.raw", "$SCRATCH/store"},
			Writes: "$SCRATCH/store", Grows: true,
		}
	}
	r := run(t, place(t), bench.Case{
		Name: "test/store", Metric: result.Output, Steps: []string{"first", "second"}, Caches: []result.Cache{result.Warm},
		Contenders: []bench.Contender{{
			Name: bench.Ours, Program: bench.Ours,
			Steps: map[string]bench.Command{"first": add("1"), "second": add("2")},
		}},
	})
	for _, s := range r.Cases[0].Samples {
		if s.Error != "" {
			t.Fatalf("%s of round %d: %s", s.Step, s.Round, s.Error)
		}
		if s.Values[result.OutputAdded] != 8192 {
			t.Errorf("%s of round %d added %v bytes, want 8192", s.Step, s.Round, s.Values[result.OutputAdded])
		}
		if s.Values[result.MeanChunk] != 25 {
			t.Errorf("mean chunk = %v of what the program reported, want 25", s.Values[result.MeanChunk])
		}
	}
	if n := len(r.Cases[0].Samples); n != 4 {
		t.Errorf("%d samples, want 4", n)
	}
}

func TestRunAfterAFailedStep(t *testing.T) {
	for _, independent := range []bool{false, true} {
		r := run(t, place(t), bench.Case{
			Name: "test/steps", Steps: []string{"first", "second"}, Caches: []result.Cache{result.Warm},
			MaxRounds: 1, Independent: independent,
			Contenders: []bench.Contender{{Name: bench.Ours, Program: bench.Ours, Steps: map[string]bench.Command{
				"first": {Args: []string{"-c", "exit 1"}}, "second": {Args: []string{"-c", "exit 0"}},
			}}},
		})
		want := 1
		if independent {
			want = 2
		}
		if got := len(r.Cases[0].Samples); got != want {
			t.Errorf("independent %v: %d samples, want %d", independent, got, want)
		}
	}
}

func TestRunWithoutItsInput(t *testing.T) {
	c := copyCase(bench.Contender{Name: bench.Ours, Program: bench.Ours, Steps: copying("exit 0")})
	c.Needs = []string{"b.raw"}
	r := run(t, place(t), c)
	if got := r.Cases[0].Contenders[0].Missing; got != "the corpus has no b.raw" {
		t.Errorf("missing = %q", got)
	}
	if n := len(r.Cases[0].Samples); n != 0 {
		t.Errorf("%d samples of a case without its input", n)
	}
}

func TestRunCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	opts := place(t)
	steps := copying(`cat "$1" >"$2"`)
	cmd, checked := steps["copy"], 0
	cmd.Check = func(context.Context, *bench.Env) error {
		if checked++; checked == 2 {
			cancel()
		}
		return nil
	}
	steps["copy"] = cmd
	c := copyCase(bench.Contender{Name: bench.Ours, Program: bench.Ours, Steps: steps})
	c.Goals = []bench.Goal{{Metric: result.Total, AtMost: 1000}}
	r, err := bench.NewRunner(opts).Run(ctx, []bench.Case{c})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v, want that it was cancelled", err)
	}
	if samples := r.Cases[0].Samples; len(samples) != 1 || samples[0].Error != "" {
		t.Errorf("samples %+v, want the one before the end", samples)
	}
	if goals := r.Cases[0].Goals; len(goals) != 2 || !goals[0].Met || goals[1].Met {
		t.Errorf("goals %+v, want the first met by the sample, the other unknown", goals)
	}
}
