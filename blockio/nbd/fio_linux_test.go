package nbd_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/blockmill/blockmill/blockio"
)

// fio runs a load that writes all of a disk in random order, flushes in between,
// and then reads each block and looks for what it wrote there.
func fio(t *testing.T, more ...string) *exec.Cmd {
	t.Helper()
	need(t, "fio")
	return exec.Command("fio", append([]string{
		"--name=load", "--rw=randwrite", "--size=24M", "--bssplit=4k/50:64k/30:512k/20", "--iodepth=16", "--fsync=50",
		"--verify=crc32c", "--verify_fatal=1", "--verify_state_save=0", "--randseed=1",
	}, more...)...)
}

// fioOver is the load over NBD. Fio's engine takes no certificates from a URI, so
// they are where libnbd looks by itself: in the home of a user that is not root.
func fioOver(t *testing.T, e endpoint) (string, error) {
	t.Helper()
	uri, certificates, secure := strings.Cut(e.uri, "?tls-certificates=")
	cmd := fio(t, "--ioengine=nbd", "--uri="+uri, "--do_verify=1")
	if secure {
		home := t.TempDir()
		pki := filepath.Join(home, ".pki")
		if err := errors.Join(os.Mkdir(pki, 0o700), os.Symlink(certificates, filepath.Join(pki, "libnbd"))); err != nil {
			t.Fatal(err)
		}
		cmd.Env = append(os.Environ(), "HOME="+home)
		if os.Getuid() == 0 {
			// Root goes by another number, in a namespace of its own.
			mapping := []syscall.SysProcIDMap{{ContainerID: 1000, HostID: 0, Size: 1}}
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: mapping, GidMappings: mapping}
		}
	}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, os.ErrPermission) {
		t.Skipf("no user namespaces: %v", err)
	}
	return string(out), err
}

// What fio's client writes it reads again, and it is in the disk's file.
func TestFio(t *testing.T) {
	path, d := disk(t)
	for _, e := range endpoints(t, d, false) {
		t.Run(e.name, func(t *testing.T) {
			if out, err := fioOver(t, e); err != nil || !strings.Contains(out, "err= 0") || !strings.Contains(out, "READ:") {
				t.Fatalf("fio: %v\n%s", err, out)
			}
			if out, err := fio(t, "--ioengine=psync", "--filename="+path, "--verify_only=1").CombinedOutput(); err != nil {
				t.Errorf("fio, of the file: %v\n%s", err, out)
			}
			// The next one is not to find its bytes there already.
			if err := d.PunchHole(0, diskSize); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// liar is a device that turns over one bit of each read.
type liar struct{ *blockio.Device }

func (l liar) ReadAt(p []byte, off int64) (int, error) {
	n, err := l.Device.ReadAt(p, off)
	if n > 0 {
		p[n/2] ^= 1
	}
	return n, err
}

// ReadNoWait has all reads go to ReadAt.
func (liar) ReadNoWait([]byte, int64) bool { return false }

// Resident has no read go past it.
func (liar) Resident(int64, int64) bool { return false }

// One wrong bit does not escape fio.
func TestFioFindsDamage(t *testing.T) {
	_, d := disk(t)
	for _, e := range endpoints(t, liar{d}, false) {
		t.Run(e.name, func(t *testing.T) {
			if out, err := fioOver(t, e); err == nil || !strings.Contains(out, "verify:") {
				t.Errorf("fio: %v\n%s", err, out)
			}
		})
	}
}
