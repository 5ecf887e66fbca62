package fetch

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
)

// awsChunked is how S3 clients frame an upload that is signed as it goes. The
// server takes the frames off before it keeps the object, and some then tell of
// them as if they were a content encoding.
const awsChunked = "aws-chunked"

// checkEncoding refuses every content encoding, since none was accepted. One that
// is about the upload encodes nothing: whether that is so, checkFrames tells.
func checkEncoding(h http.Header) error {
	codings := strings.Join(h.Values("Content-Encoding"), ", ")
	if codings == "" && len(h.Values("Content-Encoding")) == 0 || codings == awsChunked {
		return nil
	}
	return fmt.Errorf("content encoding %s, none was accepted: %w", quote(codings), ErrProtocol)
}

// checkFrames refuses a source that begins with a frame of an upload, where an
// answer says that there may be one.
func checkFrames(h http.Header, begin []byte) error {
	if h.Get("Content-Encoding") == awsChunked && isFrame(begin) {
		return fmt.Errorf("the frames of an upload are in the source: %w", ErrProtocol)
	}
	return nil
}

// isFrame says whether p begins as a chunk of an upload does: its length in
// hexadecimal digits, and a signature or the end of the line.
func isFrame(p []byte) bool {
	n := 0
	for n < len(p) && n < 16 && strings.IndexByte("0123456789abcdefABCDEF", p[n]) >= 0 {
		n++
	}
	return n > 0 && (bytes.HasPrefix(p[n:], []byte(";chunk-signature=")) || bytes.HasPrefix(p[n:], []byte("\r\n")))
}
