// Package fetch reads the file at a URL as if it were a local one: an
// io.ReaderAt of known size, for a pipeline that reads many places at a time.
//
// The types to know are [Source], which [Open] makes, [Options], and [Guard],
// which says where sources may come from. [Metrics] count.
//
// URLs come from strangers, servers too. What holds:
//
//   - Every address is judged when a socket is about to be connected to it,
//     after names are resolved, redirects included: only public addresses and
//     what the guard allows beyond them. No proxy, https unless http is allowed,
//     no credentials, no cookies.
//   - The bytes are those of one version of the source. Ranges are held to a
//     strong entity tag or a date by conditional requests, and each answer is
//     compared with the first; without either the source is one stream. A change
//     is [ErrChanged], never a mixture.
//   - An answer that is not exactly what was asked for is [ErrProtocol]. Time,
//     rate, sizes, attempts and redirects are bounded. What may pass is tried
//     again: a short body goes on where it ended.
//   - Signatures, which stand in a URL's query, are in no error, pin or metric.
//     The standard library's http package writes to the standard logger what a
//     server sends unasked: programs that fetch silence that.
//
// Small reads go through a cache of blocks with read-ahead, each block fetched
// once however many wait for it; large ones go straight into the caller's memory.
// [Source.Pages] is for short reads that stand far apart, as those of tables do.
// Memory is the arena's, and a caller may hold buffers of it: nothing here waits
// for the arena. A server without ranges needs a directory, where the stream is
// kept in a file without a name, as long as there is room.
//
// All methods are safe for concurrent use. The package keeps nothing when a
// source is closed, knows no image formats, writes no logs and does not speak
// HTTP/2.
package fetch
