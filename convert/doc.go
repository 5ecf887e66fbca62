// Package convert carries guest bytes between images, files and the store.
//
// [Open] turns a source into an [Image], of a declared or a detected
// [Format]; [Create] starts a file of a format. Between them stand the
// pipelines: [Copy] (image to writer), [Import] (image to store), [Digest],
// [Compare] and [Map]. The store's own images are Images too, so an export is
// a Copy.
//
// A pipeline walks the extents of its image in windows of [WindowSize] bytes
// and carries each window that holds data through one goroutine, from the
// source to the destination. A window without data costs nothing. Windows in
// flight are bounded by [Options], and by a [Share] those of many pipelines; their
// memory comes from the arena.
//
// What holds for every pipeline: the whole-file check of the image runs
// beside it, or in part after its last read, and must pass before it succeeds;
// cancelling the context ends it; when it returns, its goroutines have ended.
//
// The package opens no files and reads nothing that an image names.
package convert
