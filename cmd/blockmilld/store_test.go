package main

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/cmd/bytesize"
)

// Who configures shards for a store that is there is told that it keeps its shape.
func TestConfiguredShape(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	shards := []string{filepath.Join(dir, "a"), filepath.Join(dir, "b")}
	for _, c := range []struct {
		name   string
		config storeConfig
		warns  bool
	}{
		{"first start", storeConfig{Data: 1}, false},
		{"no word of shards", storeConfig{Data: 1}, false},
		{"the same shape, moved", storeConfig{Data: 1, Shards: shards[:1]}, false},
		{"another shape", storeConfig{Data: 1, Parity: 1, Shards: shards}, true},
	} {
		var out bytes.Buffer
		c.config.Reserve = bytesize.AutoReserve
		s, err := openStore(ctx, filepath.Join(dir, "store"), c.config, storeOptions{
			arena: blockio.NewArena(64 << 20), log: slog.New(slog.NewTextHandler(&out, nil)), create: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		if warns := strings.Contains(out.String(), "another shape"); warns != c.warns {
			t.Errorf("%s: the log says %s", c.name, &out)
		}
		if err := s.close(ctx); err != nil {
			t.Error(err)
		}
	}
}
