package main

import (
	"fmt"

	"github.com/blockmill/blockmill/pool/lazy"
	"github.com/blockmill/blockmill/pool/provision"
)

// diskDir is a directory that disks are made in. It may be given as its path
// alone.
type diskDir struct {
	Dir     string   `koanf:"dir"`
	Methods []string `koanf:"methods"` // none are those of disks.methods
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *diskDir) UnmarshalText(path []byte) error {
	*d = diskDir{Dir: string(path)}
	return nil
}

// methods are the ways in which disks may be made, by their names; nil for none.
func methods(names []string) ([]provision.Method, error) {
	var all []provision.Method
	for _, name := range names {
		m, err := provision.ParseMethod(name)
		if err == nil && m == provision.Blank {
			err = fmt.Errorf("disk method %q: that is for empty disks, and always possible", name)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

func (c *config) checkDisks() error {
	if _, err := methods(c.Disks.Methods); err != nil {
		return fmt.Errorf("configuration: disks.methods: %w", err)
	}
	for _, d := range c.Disks.Dirs {
		if d.Dir == "" {
			return fmt.Errorf("configuration: disks.dirs: one has no dir")
		}
		if _, err := methods(d.Methods); err != nil {
			return fmt.Errorf("configuration: disks.dirs: %s: %w", d.Dir, err)
		}
	}
	return nil
}

// diskDirectories are where disks are made, and how.
func (d *daemon) diskDirectories() ([]provision.Options, error) {
	var all []provision.Options
	counts, bases := lazy.NewMetrics(d.registry), provision.NewMetrics(d.registry)
	for _, dir := range d.paths.disks {
		names := dir.Methods
		if len(names) == 0 {
			names = d.conf.Disks.Methods
		}
		ways, err := methods(names)
		if err != nil {
			return nil, err
		}
		all = append(all, provision.Options{
			Path: dir.Dir, Methods: ways, FillRate: int64(d.conf.Disks.Rate),
			BaseBytes: int64(d.conf.Disks.Bases), Metrics: bases, Lazy: counts,
		})
	}
	return all, nil
}
