// Package operation is the engine of everything that takes longer than an
// answer: a persistent queue of operations, the workers that carry them out, and
// their history.
//
// The types to know:
//
//   - Engine is the queue. Register the handlers, then Start; Submit adds an
//     operation, and is durable when it returns.
//   - Handler does the work of one kind of operation. It may restore
//     (Restorer) what it holds in memory for one that waits, and undo it
//     (Abandoner).
//   - Running is an operation in a handler's hands: its request and its progress.
//
// # Invariants
//
//   - An operation that Submit has returned is durable: in the database, or in
//     what it made (Spec.Kept), from where Recover takes it back.
//   - An operation that Submit has returned ends: with a response, an error, or
//     CANCELLED, after any number of restarts. A handler may therefore be run
//     again for work that it finished just before a crash: it recognises it by
//     the operation's id.
//   - Done is said only after the handler has returned, with nothing left
//     behind.
//   - The same idempotency key of the same caller with the same request is
//     the same operation, for as long as the history has it; with another
//     request it is ErrKeyReused.
//   - Requests and private data are kept beside the operation, never shown, and
//     removed when it ends. Badger may hold what was removed for long: those with
//     secrets (Spec.Secret), such as signed addresses, are under a key of their
//     operation, whose file is gone when that is done.
//   - An operation that waits is an entry of a list, not a goroutine.
//   - A folder with fewer operations at work comes first, whatever the length of
//     its queue; folders with the same number take turns.
//
// The queue and the history are in Badger. They may be lost without harm to
// images and disks: a database that cannot be used is begun again, empty.
//
// # Concurrency
//
// All methods of Engine and Running are safe for concurrent use. One mutex
// guards everything in memory; it is never held during a write or a call of a
// handler.
//
// The package knows nothing of images and of transports.
package operation
