package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/convert"
)

// errDigest says that an image is not the one that was expected.
var errDigest = errors.New("digest differs")

// expectFlag is --expect-digest.
type expectFlag struct{ text string }

func (f *expectFlag) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.text, "expect-digest", "", "image digest that SRC must have, as digest prints it")
}

// validate says whether the flag is a digest, or not given.
func (f *expectFlag) validate() error {
	if p, err := hex.DecodeString(f.text); err != nil || len(p) != 0 && len(p) != len(cas.Digest{}) {
		return usageError{fmt.Errorf("digest %q: want 64 hexadecimal digits", f.text)}
	}
	return nil
}

// check compares a digest with the expected one, if one is.
func (f *expectFlag) check(got cas.Digest) error {
	want, err := hex.DecodeString(f.text)
	if err == nil && len(want) > 0 && cas.Digest(want) != got {
		err = fmt.Errorf("image digest is %v, expected %s: %w", got, f.text, errDigest)
	}
	return err
}

// writer computes the digest of what passes through w, and lets it be finished
// only with the expected one.
func (f *expectFlag) writer(w convert.Writer, size int64) convert.Writer {
	if f.text == "" {
		return w
	}
	return &expectWriter{w, f, cas.NewDigester(size)}
}

type expectWriter struct {
	convert.Writer
	expect *expectFlag
	digest *cas.Digester
}

// WriteAt takes windows, as convert.Writer says.
func (w *expectWriter) WriteAt(p []byte, off int64) (int, error) {
	if err := w.digest.PutWindow(off/convert.WindowSize, p); err != nil {
		return 0, err
	}
	return w.Writer.WriteAt(p, off)
}

// Finish is of convert.Writer.
func (w *expectWriter) Finish(ctx context.Context) error {
	sum, err := w.digest.Sum()
	if err == nil {
		err = w.expect.check(sum)
	}
	if err != nil {
		return err
	}
	return w.Writer.Finish(ctx)
}
