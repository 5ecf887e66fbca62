package disks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// Daemon is a daemon whose data is in a place, with the image in a pool.
type Daemon struct {
	bin, socket string
	conn        *grpc.ClientConn
	disks       compute.DiskServiceClient
	image       string
	size        int64
}

// Serve starts the daemon that is in the directory bin, beside blockmill, and
// imports the image. The place's Close ends it.
func (p *Place) Serve(ctx context.Context, bin string) (*Daemon, error) {
	data := filepath.Join(p.dir, "data")
	if err := os.MkdirAll(data, 0o755); err != nil {
		return nil, err
	}
	conf := filepath.Join(data, "config.yaml")
	if err := os.WriteFile(conf, []byte("grpc: {listen: []}\nrest: {listen: []}\nmetrics: {listen: []}\n"), 0o600); err != nil {
		return nil, err
	}
	// Sockets have short names: not below the place.
	run, err := os.MkdirTemp("", "bm")
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "blockmilld"), "--config", conf, "--data-dir", data)
	cmd.Env = append(os.Environ(), "BLOCKMILL_RUN_DIR="+run)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	d := &Daemon{bin: bin, socket: filepath.Join(run, "blockmill.sock")}
	p.onClose(func() error {
		err := cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait() // by the signal, which some call a failure
		return errors.Join(err, os.RemoveAll(run))
	})
	return d, d.start(ctx, p)
}

func (d *Daemon) start(ctx context.Context, p *Place) error {
	for range 200 {
		if _, err := os.Stat(d.socket); err == nil {
			break
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	conn, err := grpc.NewClient("unix:"+d.socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	p.onClose(conn.Close)
	d.conn, d.disks = conn, compute.NewDiskServiceClient(conn)
	var img struct {
		ID  string `json:"id"`
		Min int64  `json:"min_disk_size"`
	}
	if err := d.ask(ctx, &img, "image", "create", "--name", "image", "--pooled", "--file", p.source); err != nil {
		return err
	}
	d.image, d.size = img.ID, img.Min
	return nil
}

// ask runs the client and reads its answer.
func (d *Daemon) ask(ctx context.Context, into any, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(d.bin, "blockmill"), append(args, "-o", "json", "--endpoint", d.socket)...)
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return fmt.Errorf("blockmill %s: %w", args[0], err)
	}
	return json.Unmarshal(out, into)
}

// Fill sets how many disks the pool keeps and waits until they are ready.
func (d *Daemon) Fill(ctx context.Context, n int) error {
	var st struct {
		Ready int `json:"ready"`
	}
	if err := d.ask(ctx, &st, "pool", "set", d.image, "--capacity", strconv.Itoa(n)); err != nil {
		return err
	}
	for {
		if err := d.ask(ctx, &st, "pool", "get", d.image); err != nil || st.Ready == n {
			return err
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// Create makes a disk through the API; it is durable, and the operation done,
// when it returns.
func (d *Daemon) Create(ctx context.Context, _ int) error {
	op, err := d.disks.Create(ctx, &compute.CreateDiskRequest{
		FolderId: "default", ZoneId: "local", Size: d.size, Source: &compute.CreateDiskRequest_ImageId{ImageId: d.image},
	})
	switch {
	case err != nil:
		return err
	case !op.GetDone():
		return errors.New("the operation is not done")
	case op.GetError() != nil:
		return fmt.Errorf("operation: %s", op.GetError().GetMessage())
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
