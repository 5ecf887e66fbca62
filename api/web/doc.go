// Package web is the page that a node shows of itself in a browser: images,
// ready disks, operations as they go on, shards and what deduplication saves.
//
// [Handler] serves it, from a [Source] that gives one [Status] at a time. The
// page is plain HTML, a style and a little script, embedded; it loads nothing
// from elsewhere, and its headers forbid that. The script asks for status.json
// every two seconds while the page is in sight, and writes what it gets as
// text, never as HTML: names are the users' own.
//
// The package knows no store, no operation and no user. Who may see what is
// the source's to say, by the request's context; a source that refuses does so
// with an [Error], and the page asks for a token when that is 401.
//
// The handler is safe for concurrent use when the source is.
package web
