// Package node serves blockmill.v1: what the public API has no words for.
//
// [New] makes the services of one node; [Services.Register] gives them to a gRPC
// server. Progress of operations and lists of them come from the engine; scrubs and
// garbage collections are operations themselves, which a [Keeper] carries out;
// what happens is told by an [EventLog].
//
// # Invariants
//
//   - What concerns the node as a whole is for those who are admins of every
//     folder.
//   - An operation that the caller may not see is answered as one that does not
//     exist.
//   - A reader of events that does not keep up loses events, and holds up nobody.
//
// Everything is safe for concurrent use.
package node
