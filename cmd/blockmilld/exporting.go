package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/blockmill/blockmill/api/compute"
)

// exportOptions name the buckets that the node has keys for.
func (c *config) exportOptions() (compute.ExportOptions, error) {
	var opts compute.ExportOptions
	e := &c.Export
	if e.Endpoint == "" {
		return opts, nil
	}
	var keys [2]string
	for i, path := range []string{e.AccessKeyFile, e.SecretKeyFile} {
		p, err := os.ReadFile(path)
		if err != nil {
			return opts, fmt.Errorf("read the keys of exports: %w", err)
		}
		keys[i] = strings.TrimSpace(string(p))
	}
	for _, bucket := range e.Buckets {
		opts.Buckets = append(opts.Buckets, compute.ExportBucket{
			Endpoint: e.Endpoint, Region: e.Region, Bucket: bucket, AccessKeyID: keys[0], SecretAccessKey: keys[1],
		})
	}
	return opts, nil
}
