// Package pool keeps the named things that are made from images.
//
// [Catalog] is the list of a store's images: it gives each an id, keeps names
// unique, and writes one record an image into the store. The records are all
// that there is: what Add has returned is durable, what Remove has returned
// from is gone, and a crash leaves an image listed or not, never in between.
// The manifests that records name are what the store's garbage collection
// keeps.
//
// A Catalog is safe for concurrent use. It must be the only one of its store;
// the store's lock sees to that.
package pool
