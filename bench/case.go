package bench

import (
	"context"

	"github.com/blockmill/blockmill/bench/result"
)

// Ours is the program that the other contenders are compared with.
const Ours = "blockmill"

// Case is one question. Its steps are run in order, each on what the steps
// before it have left.
type Case struct {
	Name   string // "kind/what"
	Title  string
	Shows  string
	Metric result.Metric // what is plotted
	Caches []result.Cache
	Steps  []string
	// MaxRounds bounds the rounds of a case whose figures do not vary; 0 does
	// not.
	MaxRounds int
	// Independent steps go on after one has failed.
	Independent bool
	// Needs are files below $CORPUS; without them the case is skipped.
	Needs []string
	// Prepare makes further inputs below $FIXTURE, once.
	Prepare    func(ctx context.Context, env *Env) error
	Contenders []Contender
	Goals      []Goal
}

// Contender is one way to do what a case asks. It works in a directory of its
// own, $SCRATCH, which is empty at the beginning of a round.
type Contender struct {
	Name    string
	Program string   // "" when all its commands are computed
	Env     []string // templates, beyond a minimal environment
	Inherit bool     // the caller's environment too
	Setup   [][]string
	Steps   map[string]Command
}

// Command is one measured execution. All strings are templates that may hold
// $CORPUS, $FIXTURE, $SCRATCH and $MODULE, and $SERVER where files are served.
type Command struct {
	Args  []string
	Dir   string   // "" is $SCRATCH
	Reads []string // inputs, whose state in the page cache is set before
	Cools []string // inputs that come from the disk in any state
	// Writes is the output, a file or directory: removed before and after,
	// unless Grows, and synced within the measured time.
	Writes string
	Grows  bool
	// Serves is a directory whose files are at $SERVER, over HTTP, while the
	// command runs. What that takes of the processors counts as others'.
	Serves string
	// Prepare brings about what the command needs, such as a store of some
	// size. It is not measured.
	Prepare func(ctx context.Context, env *Env) error
	// Check says whether the output is right. It is not measured.
	Check func(ctx context.Context, env *Env) error
	// Compute gives values that no program has to be run for; Args is then
	// what it is shown as.
	Compute func(ctx context.Context, env *Env) (map[result.Metric]float64, error)
	// KeepText keeps what the command printed as the case's text.
	KeepText bool
}

// Goal is what a case owes: a ratio of medians when it is Versus others, an
// absolute limit of every single sample otherwise.
type Goal struct {
	Text   string
	Step   string // "" is every step, of an absolute goal
	Metric result.Metric
	// Versus are names of contenders, of which the best counts; VersusStep is
	// their step when it is not Step.
	Versus     []string
	VersusStep string
	// One of them is set. AtLeast: theirs / ours. AtMost: ours / theirs, or
	// ours alone.
	AtLeast, AtMost float64
}
