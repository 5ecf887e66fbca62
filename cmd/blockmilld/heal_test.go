package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestHeal has a shard away while an image is made, and bytes of another turn over:
// the daemon heals both by itself, one when the shard is back and one when a read
// has met it.
func TestHeal(t *testing.T) {
	t.Parallel()
	p := newProcess(t)
	source := offer(t, disk(8*mib, 1))
	shard := func(i int) string { return filepath.Join(p.dir, fmt.Sprint("shard", i)) }
	config := filepath.Join(p.dir, "config.yaml")
	text := fmt.Sprintf("store: {data: 1, parity: 2, allow_shared_device: true, shards: [%s, %s, %s]}\n"+
		"maintenance: {gc_interval: 0s, scrub_interval: 0s}\n", shard(0), shard(1), shard(2))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p.start("--config", config).stop()

	if err := os.Rename(shard(2), shard(2)+".away"); err != nil {
		t.Fatal(err)
	}
	p.start("--config", config)
	image := p.do("POST", "/compute/v1/images", object{"folderId": "default", "name": "debian", "uri": source.URL + "/disk.raw"})
	p.stop()
	if err := os.Rename(shard(2)+".away", shard(2)); err != nil {
		t.Fatal(err)
	}
	p.start("--config", config)
	p.eventually("healed what was away", func() bool {
		segments, err := filepath.Glob(filepath.Join(shard(2), "segments", "*"))
		return err == nil && len(segments) > 0 && p.gauge("blockmill_stripe_healed_shards_total") > 0
	})

	segments, err := filepath.Glob(filepath.Join(shard(0), "segments", "*"))
	if err != nil || len(segments) == 0 {
		t.Fatalf("segments %v, error %v", segments, err)
	}
	for _, path := range segments {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i := 4096; i < len(b)-4096; i += 8192 {
			b[i] ^= 1
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	before := p.gauge("blockmill_stripe_healed_shards_total")
	p.do("POST", "/compute/v1/disks", object{"folderId": "default", "name": "disk", "zoneId": "z", "size": "8388608", "imageId": image["id"]})
	p.eventually("healed what was damaged", func() bool {
		return p.gauge("blockmill_stripe_healed_shards_total") > before && p.gauge("blockmill_stripe_heal_queue_objects") == 0
	})
}
