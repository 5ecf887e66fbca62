// Package suite holds the cases: what Blockmill owes in speed, stored bytes
// and memory, and the commands of Blockmill and its peers that show it.
//
// [Cases] makes all of them, [Choose] picks by name. Cases are values; nothing
// is run or looked up here.
//
// The rules for peers: each does the same work on the same input, with the
// flags that make it fastest; caches that would spare it reading the input are
// off (a second import is of the same content, not of the same file); its
// output is synced within its time, as ours is. The corpus has the names that
// the cases' Needs say.
package suite
