// Package scrub looks a whole store over: the rows of all shards by their
// checksums, and on a longer cycle the chunks by their BLAKE3.
//
// The type to know is [Scrubber], made by [New] for an open store directory;
// [Scrubber.Run] is one scrub, and says in a [Report] what it found, repaired and
// left, and which guest ranges of which manifests what is left touches.
//
// # Invariants
//
//   - A scrub that is interrupted goes on where it was, whether the process ended
//     or was killed, and looks again at what it left damaged before.
//   - The state is a hint: without it a scrub begins at the beginning.
//   - Nothing is repaired that was not checked; see package stripe.
//
// # Concurrency
//
// A Scrubber runs one scrub at a time; it may run beside everything else that
// uses the store, and its other methods beside it. A scrub waits for the arena:
// who starts it holds none of its buffers.
//
// The package does nothing by itself: whoever owns the store decides when a
// scrub runs and what it may read a second.
package scrub
