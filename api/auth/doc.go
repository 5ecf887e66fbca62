// Package auth says who calls, and what they may do.
//
// The types to know:
//
//   - Subject is a caller with the roles that it has on folders. A server puts
//     it into the context, FromContext finds it there.
//   - Role is what one may do: viewers see, users make disks from images,
//     editors make and change things, admins say who else may. A Grant is a role
//     for things of one Kind, or of all.
//   - Authenticator tells the Subject of a Peer: by a bearer token, a client
//     certificate or the credentials of a local socket.
//   - Certificates are a TLS configuration whose files are read again.
//
// # Invariants
//
//   - Without a subject, and without a role, nothing is allowed.
//   - A role comes from the configuration of folders or from the bindings of the
//     one thing that is asked for; the higher one holds. One for another kind of
//     things does not count.
//   - What a subject may not even see is ErrHidden, which must be answered just as
//     what does not exist.
//   - Tokens are known by their SHA-256 only, and compared in constant time.
//   - A token that is given and not known is refused, whatever else is known of
//     the peer, unless the node is open to every local caller.
//
// # Concurrency
//
// Everything is safe for concurrent use. The tables of an Authenticator, and the
// certificates, are replaced whole.
package auth
