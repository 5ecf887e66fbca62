package main

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/convert"
)

// sourceFlags say how a source is to be read.
type sourceFlags struct {
	format  string
	extents []string
	direct  directMode
}

func (f *sourceFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.format, "format", "f", "", "format of SRC: raw, qcow2 or vmdk (detected, but for raw)")
	f.addCommon(cmd, "extent", "direct")
}

// addSecond adds the flags of the second of two sources.
func (f *sourceFlags) addSecond(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.format, "format-b", "F", "", "format of B: raw, qcow2 or vmdk (detected, but for raw)")
	f.addCommon(cmd, "extent-b", "direct-b")
}

func (f *sourceFlags) addCommon(cmd *cobra.Command, extent, direct string) {
	cmd.Flags().StringArrayVar(&f.extents, extent, nil,
		"a file that a VMDK text descriptor may refer to by its base name; once for each")
	cmd.Flags().Var(&f.direct, direct, "direct I/O: auto, on or off")
}

// source is an open image and the files that it is in.
type source struct {
	convert.Image
	path   string
	format convert.Format
	files  []*blockio.Device
}

// openSource opens an image. Its cheap checks have passed then.
func (a *app) openSource(path string, f sourceFlags) (*source, error) {
	format, err := convert.ParseFormat(f.format)
	if err != nil {
		return nil, err
	}
	if err := refuseURL(path); err != nil {
		return nil, err
	}
	s := &source{path: path}
	main, err := s.file(path, f.direct)
	if err != nil {
		return nil, err
	}
	opts := convert.OpenOptions{}
	for _, extent := range f.extents {
		d, err := s.file(extent, f.direct)
		if err != nil {
			s.close()
			return nil, err
		}
		opts.Extents = append(opts.Extents, convert.Extent{Name: filepath.Base(extent), Source: d, Size: d.Size()})
	}
	s.Image, s.format, err = convert.Open(main, main.Size(), format, opts)
	if err != nil {
		s.close()
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return s, nil
}

func (s *source) file(path string, direct directMode) (*blockio.Device, error) {
	d, err := blockio.OpenDevice(path, blockio.DeviceOptions{Direct: direct.mode()})
	if err == nil {
		s.files = append(s.files, d)
	}
	return d, err
}

func (s *source) close() {
	for _, d := range s.files {
		_ = d.Close() // opened for reading: nothing can be lost
	}
}

var errURL = errors.New("URLs cannot be read yet: fetch the image to a file first")

// refuseURL names no more of a URL than its host: the rest may be a secret.
func refuseURL(path string) error {
	scheme, rest, ok := strings.Cut(path, "://")
	if !ok || strings.ContainsAny(scheme, "/.") {
		return nil
	}
	host := strings.SplitN(rest, "/", 2)[0]
	if u, err := url.Parse(path); err == nil {
		host = u.Hostname()
	}
	return usageError{fmt.Errorf("open %s://%s: %w", scheme, host, errURL)}
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
