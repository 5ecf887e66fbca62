package pool

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/convert"
	"github.com/blockmill/blockmill/convert/badimage"
)

// Filling says what an image or snapshot is filled with.
type Filling struct {
	// Content is the guest bytes. It stays the caller's.
	Content convert.Image
	// Format is the format that they came in.
	Format convert.Format
	// Digest is what they must have, unless it is nil.
	Digest *cas.Digest
	// Verify, unless it is nil, has the last word before the record is
	// written.
	Verify func(ctx context.Context) error
	// Draft, unless it is empty, names what is kept of the work so that it can
	// go on after it was cut short: in the form of a record's id. It is removed
	// when the thing is made; DropDraft gives it up.
	Draft string
	// Saved, unless it is nil, is called whenever the draft has more.
	Saved func()
	// Pin identifies the bytes of the content, without secrets: the draft of
	// others is not gone on with.
	Pin string
	// Progress, unless it is nil, hears of the bytes that are done, and how
	// many there are.
	Progress func(done, total int64)
}

// OpenSource opens an image of a format that is detected, among those that the
// node takes. An image is raw when it bears the signature of no container,
// wrapper, archive or text, and is a whole number of sectors.
func (n *Node) OpenSource(src io.ReaderAt, size int64) (convert.Image, convert.Format, error) {
	img, format, err := convert.Open(src, size, "", convert.OpenOptions{
		MaxSize: n.opts.MaxVirtualSize, UnsignedRaw: n.takes(convert.Raw), Arena: n.opts.Arena,
	})
	switch most := n.opts.MaxVirtualSize; {
	case err != nil:
		return nil, "", err
	case !n.takes(format):
		return nil, "", fmt.Errorf("format %s: %w", format, ErrFormatRefused)
	case most > 0 && img.Size() > most:
		return nil, "", badimage.Unsupported(string(format), "virtual size", badimage.NoOffset, badimage.Int(img.Size()), fmt.Sprintf("at most %d", most))
	}
	return img, format, nil
}

// FillImage stores the bytes of a reserved image and makes it Ready. When it
// fails, the image is off the list and nothing is left of it.
func (n *Node) FillImage(ctx context.Context, id ImageID, f Filling) (Image, error) {
	img, err := n.images.get(id)
	if err != nil || img.Status == Ready {
		return img, err
	}
	defer n.images.release(id) // unless it is committed
	if size := f.Content.Size(); img.MinDiskSize != 0 && img.MinDiskSize < size {
		return img, &MinDiskSizeError{Least: size}
	}
	err = n.fill(ctx, f, func(c Contents) error {
		img.Contents, img.Format = c, f.Format
		img, err = n.commitImage(ctx, img)
		return err
	})
	return img, err
}

// fill stores bytes, and keeps them until commit has written a record that
// does.
func (n *Node) fill(ctx context.Context, f Filling, commit func(Contents) error) (err error) {
	session, err := n.opts.Store.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, session.Close()) }()
	info, err := n.store(ctx, session, f)
	if err != nil {
		return err
	}
	made := contentsOf(info)
	if err := made.checkDigest(f.Digest); err != nil {
		return err
	}
	if f.Verify != nil {
		if err := f.Verify(ctx); err != nil {
			return err
		}
	}
	if err := commit(made); err != nil || f.Draft == "" {
		return err
	}
	if err := n.DropDraft(ctx, f.Draft); err != nil {
		n.opts.Logger.Error("the draft of what is made is left over", "draft", f.Draft, "reason", err)
	}
	return nil
}

func (n *Node) store(ctx context.Context, session *cas.Session, f Filling) (cas.ImageInfo, error) {
	opts := convert.Options{
		Arena: n.opts.Arena, Progress: f.Progress, Workers: n.opts.Workers, Share: n.opts.Share, Background: n.opts.Background,
	}
	if f.Draft == "" {
		return convert.Import(ctx, session, f.Content, opts)
	}
	return convert.ImportDraft(ctx, session, f.Content, convert.DraftOptions{Name: f.Draft, Source: f.Pin, Saved: f.Saved}, opts)
}

// DropDraft gives up what a filling that was cut short has left, if it has.
func (n *Node) DropDraft(ctx context.Context, draft string) error {
	return n.opts.Store.RemoveDraft(context.WithoutCancel(ctx), draft)
}

// Drafts lists what fillings that were cut short have left.
func (n *Node) Drafts(ctx context.Context) ([]string, error) {
	var names []string
	var errs []error
	for d, err := range n.opts.Store.Drafts(ctx) {
		names = append(names, d.Name)
		errs = append(errs, err)
	}
	return names, errors.Join(errs...)
}
