package blockio

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// osFileSystem is the FileSystem of a real directory; files are Devices.
type osFileSystem struct {
	root   string
	direct DirectMode
}

// NewDirFileSystem is the file system below a directory, as NewDirVolume uses it.
func NewDirFileSystem(dir string, opts DirVolumeOptions) FileSystem {
	return osFileSystem{root: dir, direct: opts.Direct}
}

func (o osFileSystem) path(name string) string { return filepath.Join(o.root, name) }

func (o osFileSystem) CreateFile(name string) (File, error) {
	return OpenDevice(o.path(name), DeviceOptions{
		Direct: o.direct, Write: true, Create: true, Exclusive: true, NoFollow: true, Perm: 0o600,
	})
}

func (o osFileSystem) OpenFile(name string) (Object, error) {
	return OpenDevice(o.path(name), DeviceOptions{Direct: o.direct, NoFollow: true})
}

func (o osFileSystem) Rename(from, to string) error {
	oldPath, newPath := o.path(from), o.path(to)
	err := retry(func() error {
		return unix.Renameat2(unix.AT_FDCWD, oldPath, unix.AT_FDCWD, newPath, unix.RENAME_NOREPLACE)
	})
	if errors.Is(err, unix.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		// A file system that cannot keep from replacing: a link never
		// replaces either, and the old name is only a leftover.
		if err = os.Link(oldPath, newPath); err == nil {
			err = os.Remove(oldPath)
		}
	}
	return err
}

func (o osFileSystem) Replace(from, to string) error {
	oldPath, newPath := o.path(from), o.path(to)
	return retry(func() error { return unix.Rename(oldPath, newPath) })
}

func (o osFileSystem) RemoveFile(name string) error { return os.Remove(o.path(name)) }

func (o osFileSystem) MakeDir(name string) error { return os.Mkdir(o.path(name), 0o700) }

func (o osFileSystem) ListDir(name string) ([]DirEntry, error) {
	found, err := os.ReadDir(o.path(name))
	if err != nil {
		return nil, err
	}
	entries := make([]DirEntry, 0, len(found))
	for _, f := range found {
		e := DirEntry{Name: f.Name(), IsDir: f.IsDir()}
		if f.Type().IsRegular() {
			info, err := f.Info()
			if errors.Is(err, fs.ErrNotExist) {
				continue // removed meanwhile
			}
			if err != nil {
				return nil, err
			}
			e.Size = info.Size()
		} else if !e.IsDir {
			continue // no file of ours
		}
		entries = append(entries, e)
	}
	return entries, nil
}

func (o osFileSystem) SyncDir(name string) error { return SyncPath(o.path(name)) }

// noCopyOnWrite is FS_NOCOW_FL: btrfs writes over blocks in their places.
const noCopyOnWrite = 0x00800000

func (o osFileSystem) CreateLog(name string, size int64) (Log, error) {
	f, err := os.OpenFile(o.path(name), os.O_RDWR|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	fd := int(f.Fd())
	if flags, err := unix.IoctlGetInt(fd, unix.FS_IOC_GETFLAGS); err == nil {
		_ = unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, flags|noCopyOnWrite)
	}
	if _, err := f.WriteAt(make([]byte, size), 0); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	return osLog{f}, nil
}

func (o osFileSystem) WriteFile(name string, p []byte) error {
	f, err := os.OpenFile(o.path(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(p)
	return errors.Join(err, f.Close())
}

// osLog is a log of the operating system, written through its page cache: that
// spares a file system that copies on write one of two flushes.
type osLog struct{ *os.File }

func (l osLog) Sync() error { return fdatasync(int(l.Fd())) }

func (l osLog) SyncAll() error {
	return retry(func() error { return unix.Syncfs(int(l.Fd())) })
}
