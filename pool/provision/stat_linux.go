package provision

import (
	"io/fs"
	"syscall"
)

// allocated is how many bytes of the file system a file has.
func allocated(info fs.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Blocks * 512
	}
	return info.Size()
}
