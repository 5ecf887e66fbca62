// Package bench runs cases: one question, such as how long a conversion takes,
// put to several contenders, ours and peers, side by side.
//
// The types to know are [Case] (what is asked, by which commands of which
// [Contender], and the [Goal] owed) and [Runner], which runs the real programs
// as child processes and returns a result.Run. The cases themselves are in
// bench/suite, what is measured in bench/measure, what comes out in
// bench/result and bench/report.
//
// How a case is run: for every state of the page cache, for every round, for
// every step, each contender in turn, so that a disturbance of the machine
// meets all of them alike (A B B A). Before a command its inputs are brought
// into or out of the page cache and the file system is synced; after it, its
// output is synced, and that is part of its time; then its output is checked,
// and a wrong one makes the sample a failure. A contender that fails a step is
// out for the rest of that round.
//
// A Runner runs one command at a time and is not safe for concurrent use.
package bench
