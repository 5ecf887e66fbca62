// Package server is how the API is reached: gRPC, and REST with JSON over the
// same services.
//
// The types to know:
//
//   - Server takes services (it is a grpc.ServiceRegistrar), serves them on any
//     number of listeners, and stops in order.
//   - Limits bound what clients can take: connections, streams, messages,
//     headers, idleness.
//   - Listener is a net.Listener that bounds its connections and knows who is at
//     their other ends.
//   - Operations and Endpoints are the two services that concern no storage.
//
// # Invariants
//
//   - No method is reached without a subject in its context, but for health,
//     reflection and the list of endpoints.
//   - Each mutation leaves one audit line, whatever becomes of it, and so does one
//     that is refused before its message is read.
//   - A call has its place among those of its caller until its answer has gone out,
//     not only until its method has ended.
//   - A panic in a method is its INTERNAL error; its text goes to the log alone.
//   - REST has no behaviour of its own: its requests go through the same
//     interceptors as those of gRPC.
//
// # Concurrency
//
// Services are registered before the first Serve call; after that everything is safe
// for concurrent use.
package server
