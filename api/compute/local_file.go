package compute

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

var (
	errRelative  = errors.New("an absolute path is wanted")
	errFileKind  = errors.New("neither a file nor a block device")
	errForbidden = errors.New("the caller may not read it")
)

// open opens a file that the caller may read by its owner, group and mode, and
// those of the directories on its way. The daemon may read more than its callers:
// it looks at what it has opened, not at the name.
func (f localFile) open() (*os.File, error) {
	if !filepath.IsAbs(f.Path) {
		return nil, errRelative
	}
	path, err := filepath.EvalSymlinks(f.Path)
	if err != nil {
		return nil, errForbidden // whether it exists is not for everybody to know
	}
	groups := f.groups()
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil || !f.may(info, groups, 1) {
			return nil, errForbidden
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	// No link on the way any more: whoever owns a directory there could turn the
	// path to one that was not looked at. Without waiting: it may be a pipe.
	fd, err := unix.Openat2(unix.AT_FDCWD, path, &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_NONBLOCK | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_NO_SYMLINKS,
	})
	if err != nil {
		return nil, errForbidden
	}
	file := os.NewFile(uintptr(fd), path)
	info, err := file.Stat()
	switch {
	case err != nil:
	case !f.may(info, groups, 4):
		err = errForbidden
	case !info.Mode().IsRegular() && info.Mode().Type() != fs.ModeDevice:
		err = errFileKind
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// may says whether the caller has a permission: 4 to read, 1 to go through.
func (f localFile) may(info fs.FileInfo, groups map[string]bool, bit fs.FileMode) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	mode := info.Mode().Perm()
	switch {
	case !ok:
		return false
	case f.UID == 0:
		return true
	case st.Uid == f.UID:
		return mode&(bit<<6) != 0
	case groups[fmt.Sprint(st.Gid)]:
		return mode&(bit<<3) != 0
	}
	return mode&bit != 0
}

// groups are the caller's: that of its process, and those that the system knows
// for its user.
func (f localFile) groups() map[string]bool {
	all := map[string]bool{fmt.Sprint(f.GID): true}
	u, err := user.LookupId(strconv.FormatUint(uint64(f.UID), 10))
	if err != nil {
		return all
	}
	ids, err := u.GroupIds()
	if err != nil {
		return all
	}
	for _, id := range ids {
		all[id] = true
	}
	return all
}
