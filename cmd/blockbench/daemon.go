package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	compute "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"

	"github.com/blockmill/blockmill/api/blockmillpb"
	"github.com/blockmill/blockmill/cmd/blockmill/remote"
)

// daemon is a blockmilld that is started for a load.
type daemon struct {
	cmd      *exec.Cmd
	stderr   bytes.Buffer
	endpoint string
}

const (
	// upWithin is how long a daemon may take to answer, downWithin to end.
	upWithin   = time.Minute
	downWithin = 2 * time.Minute
	askEvery   = 20 * time.Millisecond
	anyPort    = "127.0.0.1:0"
)

// startDaemon starts the blockmilld beside this program on a data directory, with
// more in its environment, and waits until it answers.
func startDaemon(ctx context.Context, data string, environ ...string) (*daemon, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if data, err = filepath.Abs(data); err != nil {
		return nil, err
	}
	d := &daemon{endpoint: filepath.Join(data, "run", "blockmill.sock")}
	d.cmd = exec.Command(filepath.Join(filepath.Dir(self), "blockmilld"), "--data-dir", data,
		// Any ports: the load goes through the socket.
		"--grpc-listen", anyPort, "--rest-listen", anyPort, "--metrics-listen", anyPort)
	d.cmd.Env = append(os.Environ(), environ...)
	d.cmd.Stderr = &d.stderr
	if err := d.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start blockmilld: %w", err)
	}
	if err := d.answers(ctx); err != nil {
		return nil, errors.Join(err, d.stop())
	}
	return d, nil
}

// answers waits until the daemon does.
func (d *daemon) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, upWithin)
	defer cancel()
	client, err := remote.Dial(remote.Options{Endpoint: d.endpoint})
	if err != nil {
		return err
	}
	ticker := time.NewTicker(askEvery)
	defer ticker.Stop()
	for {
		_, err := client.Node().Stat(ctx, &blockmillpb.StatRequest{})
		if err == nil {
			return client.Close()
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("blockmilld does not answer: %w", err), client.Close())
		}
	}
}

// stop asks the daemon to end, and makes it. What it said comes with the error.
func (d *daemon) stop() error {
	kill := time.AfterFunc(downWithin, func() { _ = d.cmd.Process.Kill() }) // Wait then says so
	defer kill.Stop()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := d.cmd.Wait(); err != nil {
		return fmt.Errorf("blockmilld: %w: %s", err, lastLine(d.stderr.Bytes()))
	}
	return nil
}

func lastLine(p []byte) []byte {
	p = bytes.TrimSpace(p)
	return p[bytes.LastIndexByte(p, '\n')+1:]
}

// createImage makes an image from a file on the daemon's machine, and returns
// its id.
func createImage(ctx context.Context, client *remote.Client, name, path string, pooled bool) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	op, err := client.CreateImageFromFile(ctx, path, &compute.CreateImageRequest{FolderId: client.Folder(), Name: name, Pooled: pooled})
	if err == nil {
		op, err = client.Wait(ctx, op, nil)
	}
	if err != nil {
		return "", fmt.Errorf("make image of %s: %w", path, err)
	}
	var img compute.Image
	if err := op.GetResponse().UnmarshalTo(&img); err != nil {
		return "", fmt.Errorf("make image of %s: %w", path, err)
	}
	return img.Id, nil
}

// importAgain makes images of a file, one after another, until ctx ends, and
// reports how many there were.
func importAgain(ctx context.Context, client *remote.Client, path string) (n int, err error) {
	for ctx.Err() == nil {
		_, err := createImage(ctx, client, fmt.Sprintf("meanwhile-%d", n), path, false)
		if err != nil && ctx.Err() == nil {
			return n, err
		}
		n++
	}
	return n, nil
}
