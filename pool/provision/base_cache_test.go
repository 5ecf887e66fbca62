package provision_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/pool/provision"
)

// baseRig is a directory and some images of 48 MiB.
type baseRig struct {
	store  *cas.Store
	images [3]cas.ManifestID
	wanted map[cas.ManifestID]bool
	reg    *prometheus.Registry
	opts   provision.Options
}

func newBaseRig(t *testing.T, dir string, bound int64) *baseRig {
	t.Helper()
	r := &baseRig{store: newStore(t), wanted: make(map[cas.ManifestID]bool), reg: prometheus.NewRegistry()}
	for i := range r.images {
		// Two file systems are never the same: each has an id of its own.
		r.images[i] = put(t, r.store, guest(t, "48M"))
	}
	r.opts = provision.Options{
		Path: dir, Store: r.store, BaseBytes: bound, Metrics: provision.NewMetrics(r.reg),
		Wanted: func(m cas.ManifestID) bool { return r.wanted[m] },
	}
	return r
}

// overlay makes an overlay of an image, for which its base is needed.
func (r *baseRig) overlay(t *testing.T, d *provision.Directory, image int) provision.Backing {
	t.Helper()
	b, err := d.Make(t.Context(), provision.Request{Manifest: r.images[image], Method: provision.Overlay})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// use needs the base of an image for a moment.
func (r *baseRig) use(t *testing.T, d *provision.Directory, image int) {
	t.Helper()
	if err := d.Remove(t.Context(), r.overlay(t, d, image)); err != nil {
		t.Fatal(err)
	}
}

// has checks which images have bases.
func (r *baseRig) has(t *testing.T, d *provision.Directory, want ...bool) {
	t.Helper()
	var got []bool
	for _, m := range r.images {
		got = append(got, d.HasBase(m))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("bases (-want +got):\n%s", diff)
	}
}

// metric is the value of a metric without labels.
func (r *baseRig) metric(t *testing.T, name string) float64 {
	t.Helper()
	families, err := r.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if m := f.GetMetric()[0]; f.GetName() == name {
			return m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// Of the bases that are not needed, the one that was used last the longest time ago
// goes first, and the latest stays.
func TestBaseBytes(t *testing.T) {
	t.Parallel()
	r := newBaseRig(t, t.TempDir(), 100*mib)
	d := openDir(t, r.opts)
	b := r.overlay(t, d, 0)
	r.use(t, d, 1)
	r.has(t, d, true, true, false)
	r.use(t, d, 2) // image 0 has an overlay
	r.has(t, d, true, false, true)
	r.wanted[r.images[2]] = true
	r.use(t, d, 1)
	r.has(t, d, true, true, true)
	if held, gone := r.metric(t, "blockmill_base_bytes"), r.metric(t, "blockmill_base_evictions_total"); held < 3*48*mib || gone != 1 {
		t.Errorf("%.0f bytes held, %.0f evicted", held, gone)
	}
	clear(r.wanted)
	if err := d.Remove(t.Context(), b); err != nil { // used before the others
		t.Fatal(err)
	}
	r.has(t, d, false, true, true)

	// A smaller bound counts from the next start.
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	r.opts.BaseBytes, r.opts.Metrics = 1, nil
	d = openDir(t, r.opts)
	inv := provision.Inventory{Images: map[cas.ManifestID]bool{r.images[1]: true, r.images[2]: true}}
	if _, err := d.Recover(t.Context(), inv); err != nil {
		t.Fatal(err)
	}
	r.has(t, d, false, true, false)
}

// On a full file system bases make room for others and for copies.
func TestBasesMakeRoom(t *testing.T) {
	t.Parallel()
	r := newBaseRig(t, filesystems[1].dir(t), -1)
	r.opts.Reserve = -1
	d := openDir(t, r.opts)
	free, err := d.Free()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	r.opts.Metrics = nil
	r.opts.Reserve = free - 120*mib
	d = openDir(t, r.opts)
	r.use(t, d, 0)
	r.use(t, d, 1)
	r.use(t, d, 2)
	r.has(t, d, false, true, true)
	for range 4 { // of some 10 MiB each
		if _, err := d.Make(t.Context(), provision.Request{Manifest: r.images[0], Method: provision.Copy}); err != nil {
			t.Fatal(err)
		}
	}
	r.has(t, d, false, false, true)
}
