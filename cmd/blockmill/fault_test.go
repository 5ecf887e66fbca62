package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
)

const (
	// faultsVariable has faults to inject into the shards of stores, in the form
	// of blockiotest.ParseSpec, with semicolons between them.
	faultsVariable = "BLOCKMILL_FAULTS"
	// exhaustiveVariable has every I/O fail, not some at random.
	exhaustiveVariable = "BLOCKMILL_EXHAUSTIVE"

	injected = "injected: "
)

// faultySystem puts the faults that are asked for between shards and their
// directories, and says on stderr when one is met.
func faultySystem() func(shard int, inner blockio.FileSystem) blockio.FileSystem {
	text := os.Getenv(faultsVariable)
	if text == "" {
		return nil
	}
	return func(shard int, inner blockio.FileSystem) blockio.FileSystem {
		fsys := blockiotest.NewFaultFS(inner, func(op blockiotest.Op) {
			fmt.Fprintf(os.Stderr, "%sshard %d, %v\n", injected, shard, op)
		})
		for one := range strings.SplitSeq(text, ";") {
			spec, err := blockiotest.ParseSpec(one)
			if err != nil {
				panic(err)
			}
			if spec.Shard == shard || spec.Shard < 0 {
				fsys.Inject(spec.Fault)
			}
		}
		return fsys
	}
}

// faultKind is a way in which one call of one shard's volume fails.
type faultKind struct {
	name, ops, spec string
	// lossy is one that without parity loses what is written while it is there.
	lossy bool
	// alike is one that does the same to all calls: some are enough.
	alike bool
}

var faultKinds = []faultKind{
	{"error", "any", "kind=error err=EIO", false, false},
	{"errors from then on", "any", "kind=error err=EIO sticky", false, false},
	{"full", "create|write|truncate|mkdir", "kind=error err=ENOSPC sticky", false, false},
	{"full for a moment", "create|write|truncate|mkdir", "kind=error err=ENOSPC", false, false},
	{"short", "read|write", "kind=short err=EIO", false, false},
	{"flip when read", "read", "kind=flip", false, false},
	{"flip when written", "write", "kind=flip", true, false},
	{"delay", "any", "kind=delay delay=20ms", false, true},
}

// faultActs are the commands of a store that meet faults.
var faultActs = [][]string{
	{"import", "-f", "raw", "--name", "new", "NEW"},
	{"export", "kept", "OUT"},
	{"gc"},
	{"rm", "spare"},
	{"scrub", "--repair", "--full"},
	{"heal"},
	{"verify"},
}

// TestFaultsOfProcess has the calls fail, one at a time and in every way, that a
// real process makes of shards on real disks while it imports, exports, removes,
// collects, scrubs, heals and verifies: the process ends by itself with an answer,
// what was acknowledged stays, and no wrong byte is written out. Of the cases each
// nth is tried with a call at random, others each time; or all calls of all are
// when BLOCKMILL_EXHAUSTIVE is set.
func TestFaultsOfProcess(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	const nth = 13
	number := seed % nth
	exhaustive := os.Getenv(exhaustiveVariable) != ""
	for _, shape := range []struct{ data, parity int }{{1, 0}, {2, 1}, {2, 2}} {
		base := newFaulty(t, filepath.Join(t.TempDir(), "base"), shape.data, shape.parity)
		for _, kind := range faultKinds {
			for _, act := range faultActs {
				if number++; number%nth != 0 && !exhaustive {
					continue
				}
				t.Run(fmt.Sprintf("%d+%d/%s/%s", shape.data, shape.parity, kind.name, act[0]), func(t *testing.T) {
					t.Parallel()
					f := faults{base: base, kind: kind, act: act, random: rand.New(rand.NewPCG(seed, number))}
					if exhaustive && !kind.alike {
						f.all(t)
					} else {
						f.some(t)
					}
				})
			}
		}
	}
}

// faults has a command meet faults of a kind.
type faults struct {
	base   *faulty
	kind   faultKind
	act    []string
	random *rand.Rand
}

// some has one call of one shard fail.
func (f *faults) some(t *testing.T) {
	calls := f.base.count(t, f.kind.ops, f.act)
	shard := f.random.IntN(len(calls))
	if calls[shard] == 0 {
		return
	}
	n := 1 + f.random.IntN(calls[shard])
	f.strike(t, shard, n)
	t.Logf("call %d of the %d of shard %d", n, calls[shard], shard)
}

// all has every call fail, one in each run, of a data shard, of a parity shard and
// of the one that is repaired: the others are like these. Runs differ a little in
// what they call: it ends with the first call that none makes, if that is beyond
// the number that was counted.
func (f *faults) all(t *testing.T) {
	runs := 0
	for shard, calls := range f.base.count(t, f.kind.ops, f.act) {
		if shard != 0 && shard != f.base.data && (shard != harmed || !f.repairs()) {
			continue
		}
		for n, met := 1, true; n <= calls || met; n++ {
			met = f.strike(t, shard, n)
			runs++
		}
	}
	t.Logf("%d runs", runs)
}

func (f *faults) repairs() bool { return f.act[0] == "scrub" || f.act[0] == "heal" }

func (f *faults) strike(t *testing.T, shard, n int) (met bool) {
	t.Helper()
	s := f.base.link(t, filepath.Join(t.TempDir(), fmt.Sprint(shard, "-", n)))
	s.lossy = f.kind.lossy && f.base.parity == 0
	met = s.strike(t, fmt.Sprintf("shard=%d n=%d ops=%s %s", shard, n, f.kind.ops, f.kind.spec), f.act)
	if err := os.RemoveAll(s.dir); err != nil {
		t.Fatal(err)
	}
	return met
}
