package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/cmd/bytesize"
	"github.com/blockmill/blockmill/convert"
)

// targetFlags say what is to be written, and how.
type targetFlags struct {
	format      string
	compression string
	clusterSize bytesize.Size
	dense       bool
	direct      directMode
}

func (f *targetFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.format, "output-format", "O", "raw", "format of DST: raw, qcow2 or vmdk (streamOptimized)")
	cmd.Flags().StringVarP(&f.compression, "compression", "c", "", "zlib, zstd or none (default: none for qcow2, zlib for vmdk)")
	cmd.Flags().Var(&f.clusterSize, "cluster-size", "cluster size of a qcow2, 512 to 2M (default 64K)")
	cmd.Flags().BoolVar(&f.dense, "dense", false, "write the zeros of a raw file instead of leaving holes")
}

// options checks the flags against one another.
func (f *targetFlags) options() (convert.CreateOptions, error) {
	format, err := convert.ParseFormat(f.format)
	if err != nil {
		return convert.CreateOptions{}, err
	}
	opts := convert.CreateOptions{Format: format, ClusterSize: int64(f.clusterSize), Dense: f.dense}
	opts.Compression, err = convert.ParseCompression(f.compression)
	if err == nil {
		err = opts.Validate()
	}
	return opts, err
}

// target is a file or block device that an image is being written to. A file
// is written under a temporary name beside its own and takes its name when it
// is complete: until then what had the name is untouched.
type target struct {
	dev  *blockio.Device
	path string // resolved
	temp string // empty for a block device
	done bool
}

var (
	errSame     = errors.New("is the source")
	errNotPlain = errors.New("is neither a regular file nor a block device")
)

// openTarget starts to write an image of the given size; sources must not be
// overwritten by it. After it the caller calls either commit or discard.
func openTarget(path string, size int64, opts convert.CreateOptions, direct directMode, sources ...string) (*target, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return newFile(path, 0, direct)
	case err != nil:
		return nil, err
	}
	for _, src := range sources {
		if same, err := os.Stat(src); err == nil && os.SameFile(info, same) {
			return nil, usageError{fmt.Errorf("write %s: %w", path, errSame)}
		}
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return nil, err
	}
	switch mode := info.Mode(); {
	case mode.IsRegular():
		return newFile(path, mode.Perm(), direct)
	case mode&fs.ModeDevice != 0 && mode&fs.ModeCharDevice == 0:
		return openBlockDevice(path, size, opts, direct)
	}
	return nil, usageError{fmt.Errorf("write %s: %w", path, errNotPlain)}
}

// newFile starts a file that will have the name path; perm is the mode of the
// file that it replaces, or 0.
func newFile(path string, perm fs.FileMode, direct directMode) (*target, error) {
	dir, name := filepath.Split(path)
	temp := filepath.Join(dir, "."+name+"."+rand.Text()[:8]+".part")
	dev, err := blockio.OpenDevice(temp, blockio.DeviceOptions{
		Direct: direct.mode(), Write: true, Create: true, Exclusive: true,
	})
	if err != nil {
		return nil, err
	}
	t := &target{dev: dev, path: path, temp: temp}
	if perm != 0 {
		if err := os.Chmod(temp, perm); err != nil {
			t.discard()
			return nil, err
		}
	}
	return t, nil
}

// openBlockDevice opens a device that nothing else has claimed and that has
// room.
func openBlockDevice(path string, size int64, opts convert.CreateOptions, direct directMode) (*target, error) {
	if opts.Format != convert.Raw {
		return nil, usageError{fmt.Errorf("write %s: a block device takes raw, not %s", path, opts.Format)}
	}
	dev, err := blockio.OpenDevice(path, blockio.DeviceOptions{Direct: direct.mode(), Write: true, Exclusive: true})
	if err != nil {
		return nil, err
	}
	if dev.Size() < size {
		_ = dev.Close() // nothing was written
		return nil, fmt.Errorf("write %s: the device has %d bytes, the image %d: %w", path, dev.Size(), size, unix.ENOSPC)
	}
	return &target{dev: dev, path: path}, nil
}

// commit gives a complete and synced file its name, durably.
func (t *target) commit() error {
	t.done = true
	if err := t.dev.Close(); err != nil {
		t.remove()
		return err
	}
	if t.temp == "" {
		return nil
	}
	if err := os.Rename(t.temp, t.path); err != nil {
		t.remove()
		return err
	}
	return blockio.SyncPath(filepath.Dir(t.path))
}

// discard drops what was written, unless commit was called.
func (t *target) discard() {
	if t.done {
		return
	}
	t.done = true
	_ = t.dev.Close() // what was written is dropped
	t.remove()
}

func (t *target) remove() {
	if t.temp != "" {
		_ = os.Remove(t.temp) // the error that led here counts
	}
}
