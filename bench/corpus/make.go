package corpus

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

//go:embed make.sh
var script string

// Options say what a corpus is made of.
type Options struct {
	Dir string // where; made if it is not there
	// Size is that of the disks in bytes; 4 GiB when 0. It is not used for
	// images that are given.
	Size int64
	// Images stand in for the systems: a, then c, then b. Fewer are allowed;
	// cases that want the others are then not run.
	Images []string
	Log    io.Writer // what the programs say; nil for nothing
}

// defaultSize is that of the disks.
const defaultSize = 4 << 30

// patience is how long a mount may take to go once the script is told to end.
const patience = 30 * time.Second

// Make makes what the corpus lacks. Without images it needs root, debootstrap
// and a mirror that apt is set up for.
func Make(ctx context.Context, opts Options) error {
	if len(opts.Images) > 3 {
		return fmt.Errorf("make corpus of %d images: three at most", len(opts.Images))
	}
	if opts.Size == 0 {
		opts.Size = defaultSize
	}
	if opts.Size < 1<<30 || opts.Size%(1<<20) != 0 {
		return fmt.Errorf("make corpus of %d bytes a disk: want whole MiB, 1 GiB at least", opts.Size)
	}
	args := []string{"-euo", "pipefail", "-c", script, "corpus", opts.Dir, strconv.FormatInt(opts.Size>>20, 10)}
	for _, image := range opts.Images {
		abs, err := filepath.Abs(image)
		if err != nil {
			return err
		}
		args = append(args, abs)
	}
	cmd := exec.CommandContext(ctx, "bash", args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	cmd.Stdout, cmd.Stderr = opts.Log, opts.Log
	// The script undoes its mounts when it is told to end.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = patience
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("make corpus in %s: %w", opts.Dir, err)
	}
	return nil
}
