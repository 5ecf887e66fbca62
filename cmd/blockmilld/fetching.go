package main

import (
	"fmt"
	"os"

	"github.com/blockmill/blockmill/blockio/storedir"
	"github.com/blockmill/blockmill/convert/fetch"
)

// openFetch makes what all fetches have in common.
func (d *daemon) openFetch() error {
	if err := os.MkdirAll(d.paths.spool, 0o700); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	m, err := fetch.NewMetrics(d.registry)
	if err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	d.fetchMetrics = m
	return nil
}

// fetchOptions say where sources may be fetched from, and how.
func (d *daemon) fetchOptions(c *config) fetch.Options {
	return fetch.Options{
		Guard:        fetch.Guard{Allow: c.Fetch.Allow, AllowHTTP: c.Fetch.AllowHTTP},
		MaxRedirects: c.Fetch.MaxRedirects,
		SpoolDir:     d.paths.spool,
		SpoolRoom:    func(n int64) error { return storedir.Room(d.paths.spool, n, d.space.reserve) },
		Arena:        d.memory.fetch,
		Metrics:      d.fetchMetrics,
	}
}
