package compute

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
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
// it looks at what it has found, not at the name, and opens nothing else: opening
// does things, with a watchdog for example.
//
// It goes from directory to directory, over no link any more: whoever owns a
// directory on the way could turn a name to one that was not looked at. The system
// has a call for that, openat2, which a unit with RestrictSUIDSGID does not get.
func (f localFile) open() (*os.File, error) {
	if !filepath.IsAbs(f.Path) {
		return nil, errRelative
	}
	path, err := filepath.EvalSymlinks(f.Path)
	if err != nil {
		return nil, errForbidden // whether it exists is not for everybody to know
	}
	groups := f.groups()
	at, err := f.step(nil, "/", unix.O_PATH|unix.O_DIRECTORY, 1, groups)
	if err != nil {
		return nil, err
	}
	for name := range strings.SplitSeq(filepath.Dir(path)[1:], "/") {
		if name == "" { // of the root
			break
		}
		next, err := f.step(at, name, unix.O_PATH|unix.O_DIRECTORY, 1, groups)
		if err := errors.Join(err, at.Close()); err != nil {
			return nil, err
		}
		at = next
	}
	found, err := f.step(at, filepath.Base(path), unix.O_PATH, 4, groups)
	if err = errors.Join(err, at.Close()); err != nil {
		return nil, err
	}
	file, err := openFound(found)
	return file, errors.Join(err, found.Close())
}

// openFound opens for reading what was found, if it is a file or a block device.
func openFound(found *os.File) (*os.File, error) {
	info, err := found.Stat()
	if err == nil && !info.Mode().IsRegular() && info.Mode().Type() != fs.ModeDevice {
		err = errFileKind
	}
	if err != nil {
		return nil, err
	}
	fd, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", found.Fd()), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", found.Name(), err)
	}
	return os.NewFile(uintptr(fd), found.Name()), nil
}

// step opens a name in a directory, nil for the root's own, when the caller has a
// permission on it.
func (f localFile) step(dir *os.File, name string, flags int, bit fs.FileMode, groups map[string]bool) (*os.File, error) {
	at, path := unix.AT_FDCWD, name
	if dir != nil {
		at, path = int(dir.Fd()), filepath.Join(dir.Name(), name)
	}
	fd, err := unix.Openat(at, name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, errForbidden
	}
	file := os.NewFile(uintptr(fd), path)
	info, err := file.Stat()
	if err == nil && !f.may(info, groups, bit) {
		err = errForbidden
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
