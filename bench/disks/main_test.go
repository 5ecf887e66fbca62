package disks_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/blockmill/blockmill/bench/disks"
	"github.com/blockmill/blockmill/pool"
)

// TestLatency prints what making disks takes; see the case disk of blockbench.
func TestLatency(t *testing.T) {
	image := os.Getenv("BLOCKMILL_DISK_IMAGE")
	if image == "" {
		t.Skip("BLOCKMILL_DISK_IMAGE names no image")
	}
	kind := os.Getenv("BLOCKMILL_DISK_FS")
	p, err := disks.Open(t.Context(), t.TempDir(), kind, image)
	defer func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err == nil {
		err = p.Import(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	show := func(what string, l disks.Latencies, err error) {
		if err != nil {
			t.Errorf("%s: %v", what, err)
			return
		}
		t.Logf("%-5s %-32s p50 %8v p99 %8v max %8v", kind, what, l.Quantile(0.5).Round(time.Microsecond), l.Quantile(0.99).Round(time.Microsecond), l[len(l)-1].Round(time.Microsecond))
	}
	fill := func(n int) {
		deleteDisks(t, p)
		began := time.Now()
		if err := p.Fill(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		t.Logf("pool of %d filled in %v", n, time.Since(began))
	}
	for range 2 {
		fill(220)
		if err := p.Fill(t.Context(), 220); err != nil {
			t.Fatal(err)
		}
		l, err := disks.InARow(t.Context(), 200, p.Create)
		show("hit, 200 in a row", l, err)
		fill(60)
		l, err = disks.AtOnce(t.Context(), 50, p.Create)
		show("hit, 50 at once", l, err)
	}
	if bin := os.Getenv("BLOCKMILL_BIN"); bin != "" {
		d, err := p.Serve(t.Context(), bin)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := d.Fill(t.Context(), 220); err != nil {
				t.Fatal(err)
			}
			l, err := disks.InARow(t.Context(), 200, d.Create)
			show("API, hit, 200 in a row", l, err)
			if err := d.Fill(t.Context(), 60); err != nil {
				t.Fatal(err)
			}
			l, err = disks.AtOnce(t.Context(), 50, d.Create)
			show("API, hit, 50 at once", l, err)
		}
	}
	fill(0)
	l, err := disks.InARow(t.Context(), 50, p.Create)
	show("miss, 50 in a row", l, err)
	for _, c := range []struct {
		name string
		n    int
		f    func(context.Context, int) error
	}{
		{"qemu-img create -b", 50, p.QEMUOverlay},
		{"cp --reflink=always", 50, p.Reflink},
		{"qemu-img create -b; sync", 50, p.DurableOverlay},
		{"cp --reflink=always; sync", 50, p.DurableReflink},
		{"qemu-img convert", 3, p.FullCopy},
	} {
		l, err = disks.InARow(t.Context(), c.n, c.f)
		show(c.name, l, err)
	}
}

// deleteDisks deletes all disks.
func deleteDisks(t *testing.T, p *disks.Place) {
	t.Helper()
	for d := range p.Node.Disks(pool.Query{Folder: pool.DefaultFolder}) {
		if err := p.Node.DeleteDisk(t.Context(), d.ID); err != nil {
			t.Fatal(err)
		}
	}
}
