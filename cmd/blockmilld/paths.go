package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// defaultData is where everything is without a configuration and systemd.
const defaultData = "var/blockmill"

// paths are where the daemon keeps what it has.
type paths struct {
	data, run, store, operations string
	spool                        string // of sources that cannot be read in ranges
	disks                        []diskDir
	grpcSocket, nbdSocket        string // "" for none
}

// paths decides on the directories. Systemd names its own in the environment.
func (c *config) paths(getenv func(string) string) (paths, error) {
	first := func(name string) string {
		dir, _, _ := strings.Cut(getenv(name), ":")
		return dir
	}
	data, err := filepath.Abs(cmp.Or(c.DataDir, first("STATE_DIRECTORY"), defaultData))
	if err != nil {
		return paths{}, fmt.Errorf("find data directory: %w", err)
	}
	p := paths{
		data:       data,
		run:        cmp.Or(c.RunDir, first("RUNTIME_DIRECTORY"), filepath.Join(data, "run")),
		store:      cmp.Or(c.Store.Dir, filepath.Join(data, "store")),
		operations: filepath.Join(data, "operations"),
		spool:      filepath.Join(data, "spool"),
		disks:      c.Disks.Dirs,
	}
	if len(p.disks) == 0 {
		p.disks = []diskDir{{Dir: filepath.Join(data, "disks")}}
	}
	p.grpcSocket = socketPath(c.GRPC.Socket, p.run, "blockmill.sock")
	p.nbdSocket = socketPath(c.NBD.Socket, p.run, "nbd.sock")
	return p, nil
}

func socketPath(configured, run, name string) string {
	switch configured {
	case none:
		return ""
	case "":
		return filepath.Join(run, name)
	}
	return configured
}

// make makes the directories that are the daemon's own.
func (p paths) make() error {
	dirs := []string{p.data, p.run}
	for _, d := range p.disks {
		dirs = append(dirs, d.Dir)
	}
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return fmt.Errorf("make directory: %w", err)
		}
	}
	return nil
}
