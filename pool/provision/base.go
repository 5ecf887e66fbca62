package provision

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/convert"
)

// base is a golden base.
type base struct {
	manifest cas.ManifestID
	turn     chan struct{} // has a token while somebody builds, or looks whether to

	// Guarded by the directory's mu.
	users   int       // overlays, and calls that need it
	dropped bool      // goes with the last user
	bytes   int64     // of its file; 0 while there is none
	used    time.Time // when a call needed it last
}

func (b *base) name() string { return b.manifest.String() + ".raw" }

// useBase gives the caller the golden base of a manifest until leaveBase,
// building it when it is missing.
func (d *Directory) useBase(ctx context.Context, m cas.ManifestID, background bool) (*base, error) {
	d.mu.Lock()
	b := d.bases[m]
	if b == nil {
		b = &base{manifest: m, turn: make(chan struct{}, 1)}
		d.bases[m] = b
	}
	b.users++
	b.used = time.Now()
	d.mu.Unlock()
	if err := d.ensureBase(ctx, b, background); err != nil {
		return nil, errors.Join(fmt.Errorf("golden base %v: %w", m, err), d.leaveBase(b))
	}
	return b, nil
}

// leaveBase ends useBase. A base that was dropped goes with its last user, and
// others if there are too many now.
func (d *Directory) leaveBase(b *base) error {
	d.mu.Lock()
	b.users--
	err := d.retire(b)
	d.mu.Unlock()
	d.trimBases()
	return err
}

// DropBase says that the image is gone: its golden base goes as soon as no
// overlay reads from it.
func (d *Directory) DropBase(m cas.ManifestID) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := d.bases[m]
	if b == nil {
		return nil
	}
	b.dropped = true
	return d.retire(b)
}

// KeepBase takes DropBase back: another image has the manifest.
func (d *Directory) KeepBase(m cas.ManifestID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if b := d.bases[m]; b != nil {
		b.dropped = false
	}
}

// retire removes a base that is dropped and without users. Mu is held. That it
// is not durable does no harm: Recover removes it again.
func (d *Directory) retire(b *base) error {
	if !b.dropped || b.users > 0 {
		return nil
	}
	return d.removeBase(b)
}

// removeBase removes a base without users. Mu is held.
func (d *Directory) removeBase(b *base) error {
	delete(d.bases, b.manifest)
	defer d.opts.Metrics.hold(-b.bytes)
	if err := d.step("remove base"); err != nil {
		return err
	}
	if err := removeFile(d.path(basesDir, b.name())); err != nil {
		return fmt.Errorf("remove golden base %v: %w", b.manifest, err)
	}
	return nil
}

// ensureBase builds a base unless its file is there, which is complete then.
func (d *Directory) ensureBase(ctx context.Context, b *base, background bool) error {
	select {
	case b.turn <- struct{}{}:
		defer func() { <-b.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	_, err := os.Lstat(d.path(basesDir, b.name()))
	if errors.Is(err, fs.ErrNotExist) {
		err = d.buildBase(ctx, b, background)
	}
	if err == nil {
		err = d.weigh(b)
	}
	return err
}

func (d *Directory) buildBase(ctx context.Context, b *base, background bool) (err error) {
	img, err := d.opts.Store.OpenImage(ctx, b.manifest)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, img.Close()) }()
	if err := d.makeRoom(img.Size()); err != nil {
		return err
	}
	return d.make(ctx, basesDir, b.name(), func(dev *blockio.Device) error {
		if err := d.copyImage(ctx, dev, img, true, background); err != nil {
			return err
		}
		return d.checkExtents(ctx, dev, b)
	})
}

// extentLength is about how long the extents of a golden base should be at
// least, on average, for clones to be quick.
const extentLength = 8 << 20

// checkExtents looks whether a base came out in few extents. One that did not
// still has the right bytes, so it is used, and the log says so.
func (d *Directory) checkExtents(ctx context.Context, dev *blockio.Device, b *base) error {
	if !d.abilities.Map {
		return nil
	}
	n, err := countExtents(ctx, dev)
	if err != nil {
		return err
	}
	if most := 16 + dev.Size()/extentLength; n > most {
		d.opts.Logger.Warn("a golden base is in many extents, clones will be slow", "manifest", b.manifest, "extents", n, "expected", most)
	}
	return nil
}

func countExtents(ctx context.Context, dev *blockio.Device) (int64, error) {
	var n int64
	for _, err := range dev.Places(ctx, 0, dev.Size()) {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

// copyImage writes an image to a new file and syncs it.
func (d *Directory) copyImage(ctx context.Context, dev *blockio.Device, img convert.Image, dense, background bool) error {
	if err := d.step("write"); err != nil {
		return err
	}
	w, err := convert.Create(dev, img.Size(), convert.CreateOptions{Format: convert.Raw, Dense: dense})
	if err != nil {
		return err
	}
	if background && d.rate != nil {
		w = &pacedWriter{Writer: w, ctx: ctx, rate: d.rate}
	}
	return convert.Copy(ctx, w, img, convert.Options{Arena: d.opts.Arena})
}

// pacedWriter writes at a rate.
type pacedWriter struct {
	convert.Writer
	ctx  context.Context
	rate *blockio.Limiter
}

func (w *pacedWriter) WriteAt(p []byte, off int64) (int, error) {
	if err := w.rate.Wait(w.ctx, len(p)); err != nil {
		return 0, err
	}
	return w.Writer.WriteAt(p, off)
}

// HasBase says whether the golden base of a manifest is there.
func (d *Directory) HasBase(m cas.ManifestID) bool {
	_, err := os.Lstat(d.path(basesDir, (&base{manifest: m}).name()))
	return err == nil
}
