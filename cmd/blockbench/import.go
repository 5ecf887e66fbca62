package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	compute "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	"golang.org/x/sync/errgroup"

	"github.com/blockmill/blockmill/bench/origin"
	"github.com/blockmill/blockmill/cmd/blockmill/remote"
)

// importFlags are the flags of import.
type importFlags struct {
	start, output string
	atOnce        int
}

func importCommand() *cobra.Command {
	var flags importFlags
	cmd := &cobra.Command{
		Use:   "import --start DATA SRC…",
		Short: "Have a daemon import files over HTTP and say what that takes",
		Long: `Have a daemon import files over HTTP and say what that takes. The daemon is
started on an empty directory, and the files are served on loopback by this
program. An image that does not have the digest of its file, as blockmill
digest tells it beforehand, is an error. A name that ends in .raw is that of a
raw image.`,
		Example: "  blockbench import --start var/import --at-once 2 a.qcow2 a.raw b.vmdk",
		Args:    usage(cobra.MinimumNArgs(1)),
		RunE:    func(cmd *cobra.Command, args []string) error { return runImport(cmd, flags, args) },
	}
	f := cmd.Flags()
	f.StringVar(&flags.start, "start", "", "data directory of the daemon")
	f.IntVar(&flags.atOnce, "at-once", 16, "imports at a time")
	f.StringVarP(&flags.output, "output", "o", "table", "table or json")
	return cmd
}

// imports says what the imports took.
type imports struct {
	Images int `json:"images"`
	// Seconds are from the first request to the last answer.
	Seconds float64 `json:"import_seconds"`
	// The daemon's own, from its start to its end.
	MaxRSS     int64   `json:"daemon_max_rss_bytes"`
	CPUSeconds float64 `json:"daemon_cpu_seconds"`
}

func (r *imports) print(w io.Writer, output string) error {
	if output == "json" {
		return json.NewEncoder(w).Encode(r)
	}
	_, err := fmt.Fprintf(w, "%d images  %.2f s  daemon: peak RSS %d MiB, %.2f s of CPU\n", r.Images, r.Seconds, r.MaxRSS>>20, r.CPUSeconds)
	return err
}

func runImport(cmd *cobra.Command, flags importFlags, sources []string) (err error) {
	if flags.start == "" || flags.atOnce < 1 {
		return errUsage{errors.New("a data directory (--start), and at least one import at a time")}
	}
	ctx := cmd.Context()
	digests, err := digestsOf(ctx, sources)
	if err != nil {
		return err
	}
	d, err := startDaemon(ctx, flags.start, "BLOCKMILL_FETCH_ALLOW="+origin.Network, "BLOCKMILL_FETCH_ALLOW_HTTP=true")
	if err != nil {
		return err
	}
	result := imports{Images: len(sources)}
	result.Seconds, err = importAll(ctx, d.endpoint, sources, digests, flags.atOnce)
	if err = errors.Join(err, d.stop()); err != nil {
		return err
	}
	if use, ok := d.cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		result.MaxRSS = use.Maxrss << 10
	}
	result.CPUSeconds = (d.cmd.ProcessState.UserTime() + d.cmd.ProcessState.SystemTime()).Seconds()
	return result.print(cmd.OutOrStdout(), flags.output)
}

// importAll makes images of all sources, so many at a time, and says how many
// seconds that took.
func importAll(ctx context.Context, endpoint string, sources []string, digests map[string]string, atOnce int) (seconds float64, err error) {
	client, err := remote.Dial(remote.Options{Endpoint: endpoint})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	begun := time.Now()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for i, source := range sources {
		g.Go(func() error {
			if err := importURL(ctx, client, fmt.Sprintf("import-%d", i), source, digests[source]); err != nil {
				return fmt.Errorf("import %s: %w", source, err)
			}
			return nil
		})
	}
	err = g.Wait()
	return time.Since(begun).Seconds(), err
}

// importURL makes an image of a file over HTTP, which must have the digest.
func importURL(ctx context.Context, client *remote.Client, name, path, digest string) (err error) {
	server, err := origin.Start(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	op, err := client.Images.Create(remote.Expect(ctx, "", digest), &compute.CreateImageRequest{
		FolderId: client.Folder(), Name: name,
		Source: &compute.CreateImageRequest_Uri{Uri: server.URL(filepath.Base(path))},
	})
	if err == nil {
		_, err = client.Wait(ctx, op, nil)
	}
	return err
}

// digestsOf asks the blockmill beside this program for the digest of each file.
func digestsOf(ctx context.Context, sources []string) (map[string]string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	digests := make(map[string]string)
	for _, source := range sources {
		if digests[source] != "" {
			continue
		}
		args := []string{"digest", "-o", "json", source}
		if strings.HasSuffix(source, ".raw") {
			args = append(args, "-f", "raw")
		}
		out, err := exec.CommandContext(ctx, filepath.Join(filepath.Dir(self), "blockmill"), args...).Output()
		if err != nil {
			return nil, fmt.Errorf("digest of %s: %w", source, err)
		}
		var said struct{ Digest string }
		if err := json.Unmarshal(out, &said); err != nil || said.Digest == "" {
			return nil, fmt.Errorf("digest of %s: %q", source, out)
		}
		digests[source] = said.Digest
	}
	return digests, nil
}
