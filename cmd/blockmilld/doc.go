// Command blockmilld is the daemon: it keeps images in a store, carries out operations on
// them, and serves the API over gRPC and REST.
//
// Everything here is wiring. The configuration (defaults.yaml has every key) is
// read once, and again on SIGHUP; a daemon is then started from the bottom up:
// directories and locks, the store, the node, the queue of operations, services,
// listeners. It stops in the opposite order: callers first, then operations, which
// keep their checkpoints, then the store.
package main
