// Package load puts a daemon under load and says how long its answers take.
//
// [Run] calls the acts of an [Options] for some time: with a rate, at moments
// set beforehand, and then a late start counts as part of the answer's time;
// without one, each of the callers as soon as its last call has ended. [API]
// has the acts of the daemon's API, [Read] is that of an NBD export. A
// [Report] is plain data.
//
// Run waits for all its goroutines. Acts are called concurrently.
package load
