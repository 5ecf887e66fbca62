// Package status turns errors into gRPC statuses.
//
// One table maps the sentinels of the packages below to codes; the first line that
// matches counts. [Err] makes the error of a call, [Proto] that of an operation.
// Where a code is that of several errors that a client may have to tell apart, the
// status has a google.rpc.ErrorInfo with the reason.
//
// An error that is a status already stays as it is; one that the table does not
// have is INTERNAL, and its text, which may tell of the node's insides, is not
// shown: the error that Err returns still wraps it, for the log.
//
// The package has no state.
package status
