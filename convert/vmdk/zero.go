package vmdk

import "bytes"

func isZero(p []byte) bool { return len(bytes.TrimLeft(p, "\x00")) == 0 }
