// Package remote is the connection of a command to the daemon: where it
// listens, who the caller is, what the names of things are, and how the end of
// an operation is awaited.
//
// Dial makes a Client; its services are those of the daemon's own API. Image,
// Disk and Snapshot find a thing by its id or by its name in the client's
// folder. Wait follows an operation to its end and tells its progress.
//
// A Client may be used concurrently. The package prints nothing and knows no
// command lines.
package remote
