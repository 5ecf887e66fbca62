//go:build libdeflate

package libdeflate

/*
#cgo LDFLAGS: -ldeflate
#include <libdeflate.h>
*/
import "C"

import "unsafe"

// A Decoder decodes raw streams. It serves one goroutine at a time.
type Decoder struct {
	c *C.struct_libdeflate_decompressor
}

// NewDecoder returns a decoder that must be closed.
func NewDecoder() *Decoder { return &Decoder{C.libdeflate_alloc_decompressor()} }

// Close frees the decoder.
func (d *Decoder) Close() { C.libdeflate_free_decompressor(d.c) }

// Raw decodes src into dst, neither empty, and reports whether the stream is valid and fills dst exactly.
func (d *Decoder) Raw(dst, src []byte) bool {
	return C.libdeflate_deflate_decompress(d.c, unsafe.Pointer(unsafe.SliceData(src)), C.size_t(len(src)),
		unsafe.Pointer(unsafe.SliceData(dst)), C.size_t(len(dst)), nil) == C.LIBDEFLATE_SUCCESS
}
