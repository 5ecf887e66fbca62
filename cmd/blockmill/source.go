package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/convert"
	"github.com/blockmill/blockmill/convert/badimage"
	"github.com/blockmill/blockmill/convert/fetch"
)

// sourceFlags say how a source is to be read.
type sourceFlags struct {
	format  string
	flag    string // that declares the format
	extents []string
	direct  directMode
	sha256  string
	url     *urlFlags
}

func (f *sourceFlags) add(cmd *cobra.Command) {
	f.flag = "-f"
	cmd.Flags().StringVarP(&f.format, "format", "f", "", "format of SRC: raw, qcow2 or vmdk (detected, but for raw)")
	f.addCommon(cmd, "extent", "direct", "sha256")
	f.url = new(urlFlags)
	f.url.add(cmd)
}

// addSecond adds the flags of the second of two sources.
func (f *sourceFlags) addSecond(cmd *cobra.Command, first *sourceFlags) {
	f.url = first.url
	f.flag = "-F"
	cmd.Flags().StringVarP(&f.format, "format-b", "F", "", "format of B: raw, qcow2 or vmdk (detected, but for raw)")
	f.addCommon(cmd, "extent-b", "direct-b", "sha256-b")
}

func (f *sourceFlags) addCommon(cmd *cobra.Command, extent, direct, sha256 string) {
	cmd.Flags().StringArrayVar(&f.extents, extent, nil,
		"a file that a VMDK text descriptor may refer to by its base name; once for each")
	cmd.Flags().Var(&f.direct, direct, "direct I/O: auto, on or off")
	cmd.Flags().StringVar(&f.sha256, sha256, "", "expected SHA-256 of the file at a URL, which is read from end to end for it")
}

// source is an open image and the files that it is in.
type source struct {
	convert.Image
	name   string // for messages: without the secrets of a URL
	format convert.Format
	files  []sourceFile // the image's own is the first
}

// sourceFile is a file, a block device, or what is at a URL.
type sourceFile interface {
	io.ReaderAt
	Size() int64
	Close() error
}

// openSource opens an image. Its cheap checks have passed then. A URL is read
// until ctx ends.
func (a *app) openSource(ctx context.Context, path string, f sourceFlags) (*source, error) {
	format, err := convert.ParseFormat(f.format)
	if err != nil {
		return nil, err
	}
	s := &source{name: shown(path)}
	if err := s.open(ctx, a, path, format, f); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *source) open(ctx context.Context, a *app, path string, format convert.Format, f sourceFlags) error {
	main, err := s.file(ctx, a, path, f)
	if err != nil {
		return err
	}
	opts := convert.OpenOptions{Arena: a.sharedArena()}
	for _, extent := range f.extents {
		d, err := s.file(ctx, a, extent, sourceFlags{direct: f.direct, url: f.url})
		if err != nil {
			return err
		}
		opts.Extents = append(opts.Extents, convert.Extent{Name: filepath.Base(shown(extent)), Source: d, Size: d.Size()})
	}
	s.Image, s.format, err = convert.Open(main, main.Size(), format, opts)
	if err != nil {
		return fmt.Errorf("open %s: %w%s", s.name, err, f.hint(err))
	}
	return nil
}

// hint is how to declare a raw image, for an error that asks for that.
func (f *sourceFlags) hint(err error) string {
	bad, ok := errors.AsType[*badimage.Error](err)
	if !ok || f.format != "" || f.flag == "" || bad.Field != "format" || !strings.Contains(bad.Want, "declared") {
		return ""
	}
	return ": say " + f.flag + " raw"
}

// Check is of convert.Checker: the image's own check, and the expected SHA-256 of
// its file beside that.
func (s *source) Check(ctx context.Context, read <-chan struct{}) error {
	g, ctx := errgroup.WithContext(ctx)
	if c, ok := s.Image.(convert.Checker); ok {
		g.Go(func() error { return c.Check(ctx, read) })
	}
	g.Go(func() error { return s.verify(ctx) })
	return g.Wait()
}

// Plan is of convert.Planner.
func (s *source) Plan(ctx context.Context) iter.Seq2[blockio.Extent, error] {
	return convert.Plan(ctx, s.Image)
}

// verify compares the SHA-256 of what is at a URL with the expected one.
func (s *source) verify(ctx context.Context) error {
	if src, ok := s.files[0].(*fetch.Source); ok {
		return src.Verify(ctx)
	}
	return nil
}

func (s *source) file(ctx context.Context, a *app, path string, f sourceFlags) (sourceFile, error) {
	d, err := openFile(ctx, a, path, f)
	if err == nil {
		s.files = append(s.files, d)
	}
	return d, err
}

func openFile(ctx context.Context, a *app, path string, f sourceFlags) (sourceFile, error) {
	if isURL(path) {
		return f.openURL(ctx, a, path)
	}
	if f.sha256 != "" {
		return nil, usageError{fmt.Errorf("open %s: --sha256 is for URLs", path)}
	}
	return blockio.OpenDevice(path, blockio.DeviceOptions{Direct: f.direct.mode()})
}

func (s *source) close() {
	for _, d := range s.files {
		_ = d.Close() // opened for reading: nothing can be lost
	}
}

// directMode is --direct.
type directMode struct{ text string }

func (d *directMode) String() string {
	if d.text == "" {
		return "auto"
	}
	return d.text
}

// Set is of pflag.Value.
func (d *directMode) Set(text string) error {
	switch text {
	case "auto", "on", "off":
		d.text = text
		return nil
	}
	return fmt.Errorf("bad direct %q: want auto, on or off", text)
}

// Type is of pflag.Value.
func (*directMode) Type() string { return "MODE" }

func (d *directMode) mode() blockio.DirectMode {
	switch d.text {
	case "on":
		return blockio.DirectOn
	case "off":
		return blockio.DirectOff
	}
	return blockio.DirectAuto
}

// fileSize is the length of all files of the image.
func (s *source) fileSize() int64 {
	var n int64
	for _, d := range s.files {
		n += d.Size()
	}
	return n
}
