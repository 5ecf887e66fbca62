// Package inflate decodes whole DEFLATE streams (RFC 1951, RFC 1950) from memory to memory.
//
// It exists for compressed image clusters: streams of 512 B to 2 MiB of output whose size is known beforehand.
// Source and destination are complete slices, so there is no window, no reader and no state between calls; the
// decoder tables are the only memory. [Raw] and [Zlib] take them from a pool, a [Decoder] owns its own.
//
// A stream is accepted exactly when zlib accepts it with a window of 32 KiB: over-subscribed and incomplete codes
// are refused, except a code of one symbol of one bit; distances before the first byte are refused; so are preset
// dictionaries. Any input is safe: nothing is read beyond src or written beyond dst. Bytes of dst after the decoded
// ones may be overwritten.
//
// Raw and Zlib may be called concurrently; a Decoder serves one goroutine at a time.
package inflate
