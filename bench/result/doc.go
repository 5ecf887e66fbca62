// Package result is what a benchmark run leaves behind: every sample, with the
// machine, the programs and the command lines that gave it, and the verdicts
// on what the cases owe.
//
// A [Run] is plain data with a fixed JSON form (snake_case, seconds, bytes),
// readable by later versions: a field is added, never given another meaning.
// It holds no path of the machine that it was made on: directories stand as
// $CORPUS, $SCRATCH and $MODULE.
//
// Values are not changed once made, and then safe for concurrent use.
package result
