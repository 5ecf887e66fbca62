// Package compute serves images, snapshots and disks over the protocol of
// yandex.cloud.compute.v1.
//
// [New] makes the three services of one node; [Services.Register] gives them to a
// gRPC server. Everything here is translation: requests are held against api/rules,
// callers against api/auth, and the rest is a call of pool.Node. Reads are
// answered at once. Whatever changes something is an operation: [New] registers
// one handler with the engine for each kind of operation, such as image.create.
//
// # Invariants
//
//   - What a caller may not see is answered byte for byte as what does not exist.
//   - A request that was submitted before, by its idempotency key, is answered by
//     its operation and looked at no further: names that it took and things that it
//     deleted are no obstacle.
//   - A create is listed, as CREATING, when its operation is answered; when the
//     operation ends otherwise than well, nothing of it is left.
//   - Addresses, which may be signed, and keys of storages are in the request that
//     the engine keeps until the operation ends, and nowhere else; it keeps those
//     with a query, and keys, as secrets.
//
// Services have no state beside the node's and the engine's, and are safe for
// concurrent use.
package compute
