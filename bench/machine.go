package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/blockmill/blockmill/bench/result"
	"golang.org/x/sys/unix"
)

// machine describes this machine as far as it matters to figures, and nothing
// by which it could be told from others of its kind.
func machine(scratch string) result.Machine {
	m := result.Machine{
		CPU: runtime.GOARCH, Cores: runtime.NumCPU(),
		FileSystem: fileSystem(scratch),
	}
	if v := field("/proc/cpuinfo", "model name", ":"); v != "" {
		m.CPU = v
	}
	if v, ok := strings.CutSuffix(field("/proc/meminfo", "MemTotal", ":"), " kB"); ok {
		kib, _ := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
		m.Memory = kib << 10
	}
	m.OS = strings.Trim(field("/etc/os-release", "PRETTY_NAME", "="), `"`)
	var uts unix.Utsname
	if unix.Uname(&uts) == nil {
		release, _, _ := strings.Cut(unix.ByteSliceToString(uts.Release[:]), "-") // without the builder's name
		m.Kernel = unix.ByteSliceToString(uts.Sysname[:]) + " " + release
	}
	return m
}

// field returns the value of the first "key separator value" line of a file.
func field(path, key, separator string) string {
	p, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for s := bufio.NewScanner(bytes.NewReader(p)); s.Scan(); {
		k, v, ok := strings.Cut(s.Text(), separator)
		if ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// fileSystem is the type of the file system at a directory: of the mount
// point that is its longest prefix, the last mounted of several.
func fileSystem(dir string) string {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return ""
	}
	p, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return ""
	}
	var kind, best string
	for s := bufio.NewScanner(bytes.NewReader(p)); s.Scan(); {
		f := strings.Fields(s.Text())
		if len(f) < 3 || len(f[1]) < len(best) {
			continue
		}
		if rel, err := filepath.Rel(f[1], dir); err == nil && filepath.IsLocal(rel) {
			best, kind = f[1], f[2]
		}
	}
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil {
		return kind
	}
	return fmt.Sprintf("%s, %d KiB blocks", kind, st.Bsize>>10)
}
