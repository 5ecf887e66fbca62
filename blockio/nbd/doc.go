// Package nbd serves block devices to NBD clients.
//
// The types to know are [Server], which serves connections, [Exports], which
// says what there is to serve and to whom, [Export], one of those, and
// [Device], the bytes behind it. What a device can do beyond reading, it says
// by its methods: see [Device].
//
// The protocol is the fixed newstyle of the NBD project's doc/proto.md, with
// TLS, structured replies and the metadata context base:allocation. There is no
// oldstyle and there are no extended headers.
//
// # How a request is served
//
// One goroutine reads the requests of a connection, as many at a time as the
// socket has. A small read that needs no waiting ([NoWaitReader]), or such a
// write ([NoWaitWriter]), it answers itself, into a buffer that goes out when no request is left to read or it is
// full. Everything else goes to a worker. Replies to be sent gather while one
// is being written, and then go out together. Large parts of a file that the
// page cache has are handed to the socket without a copy ([Sender]).
//
// # Invariants
//
//   - Whatever a client sends, its requests reach the device only inside the
//     export's size, and changes only when the export is writable.
//   - A flush, and a write with FUA, is answered when the device's Sync has
//     said that all is durable, never before.
//   - A client that breaks the protocol so that the stream cannot be followed
//     any more is disconnected; all else is an error reply.
//   - A reply never discloses the text of an error, which may hold paths.
//
// # Bounds
//
// Connections, the time of a handshake, options and their lengths, requests in
// flight and their bytes of each connection, and workers at the devices of all
// connections together. A worker that waits for a client to take its reply
// keeps no place of the others; a client that takes nothing for the stall time
// is disconnected. Memory is the arena's, but for what a handshake takes.
//
// All methods of Server are safe for concurrent use.
package nbd
