package blockio

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// ResidentFiles is how many bytes of mapped files, the program among them, count
// as memory of the process.
func ResidentFiles() (int64, error) {
	p, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	var size, resident, files int64
	if _, err := fmt.Sscan(string(p), &size, &resident, &files); err != nil {
		return 0, fmt.Errorf("parse statm %q: %w", p, err)
	}
	return files * int64(os.Getpagesize()), nil
}

// ReleaseMapped takes the shared mappings of some files in a directory out of the
// process's memory. They stay mapped, and their pages in the page cache, from where
// the next access takes them.
//
// The caller keeps the files mapped, whole and where they are, until it returns. What
// is mapped is known from a list only: of a file that another has taken the place of
// meanwhile, in part or further below, its first pages would be mapped in the middle
// of the other. Remap_file_pages refuses at least what is not shared, whose bytes
// madvise would drop.
func ReleaseMapped(dir string, files map[string]bool) (err error) {
	if dir, err = filepath.Abs(dir); err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return err
	}
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	lines := bufio.NewScanner(f)
	lines.Buffer(make([]byte, 64<<10), 64<<10)
	for within := []byte(dir + "/"); lines.Scan(); {
		if !bytes.Contains(lines.Bytes(), within) {
			continue // there are many, and parsing takes its time
		}
		name, whole := wholeMapping(lines.Text())
		if whole.length == 0 || filepath.Dir(name) != dir || !files[filepath.Base(name)] {
			continue
		}
		_, _, errno := unix.Syscall6(unix.SYS_REMAP_FILE_PAGES, whole.start, whole.length, 0, 0, unix.MAP_NONBLOCK, 0)
		if errno != 0 && errno != unix.EINVAL {
			return fmt.Errorf("map %s anew: %w", name, errno)
		}
	}
	return lines.Err()
}

// mapping is a range of addresses.
type mapping struct{ start, length uintptr }

// wholeMapping parses a line of the list of mappings. Its length is 0 unless it is a
// shared one of a file from its beginning.
func wholeMapping(line string) (file string, m mapping) {
	var end, off uintptr
	var rights, device, inode string
	at := strings.IndexByte(line, '/')
	if at < 0 {
		return "", mapping{}
	}
	if _, err := fmt.Sscanf(line[:at], "%x-%x %s %x %s %s", &m.start, &end, &rights, &off, &device, &inode); err != nil {
		return "", mapping{}
	}
	if off == 0 && strings.HasSuffix(rights, "s") {
		m.length = end - m.start
	}
	return line[at:], m
}
