package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/blockmill/blockmill/blockio/storedir"
	"github.com/blockmill/blockmill/convert/fetch"
)

// The environment's part in what may be fetched; flags add to it.
const (
	envFetchAllow     = "BLOCKMILL_FETCH_ALLOW"
	envFetchAllowHTTP = "BLOCKMILL_FETCH_ALLOW_HTTP"
)

// urlFlags say how URLs are read.
type urlFlags struct {
	allow     []string
	allowHTTP bool
	redirects int
	spool     string
}

func (f *urlFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringSliceVar(&f.allow, "fetch-allow", nil,
		"hosts and networks that URLs may lead to beyond public addresses, such as 10.0.0.0/8 (also "+envFetchAllow+")")
	flags.BoolVar(&f.allowHTTP, "fetch-allow-http", false, "take http URLs too (also "+envFetchAllowHTTP+")")
	flags.IntVar(&f.redirects, "fetch-redirects", 0, "redirects that are followed, at most 3")
	flags.StringVar(&f.spool, "fetch-spool", "", "where to keep what a server without ranges sends (default the directory for temporary files)")
}

// isURL says whether a source is given as a URL, of any scheme.
func isURL(path string) bool {
	scheme, _, ok := strings.Cut(path, "://")
	return ok && !strings.ContainsAny(scheme, "/.")
}

// shown is a source's name for messages: a URL's query may be a secret.
func shown(path string) string {
	if isURL(path) {
		return fetch.Redact(path)
	}
	return path
}

func (f sourceFlags) openURL(ctx context.Context, a *app, url string) (*fetch.Source, error) {
	opts, err := f.url.options()
	if err != nil {
		return nil, usageError{err}
	}
	if opts.SHA256, err = parseSHA256(f.sha256); err != nil {
		return nil, usageError{err}
	}
	opts.Arena = a.sharedArena()
	return fetch.Open(ctx, url, opts)
}

func (f *urlFlags) options() (fetch.Options, error) {
	allowHTTP := f.allowHTTP
	if text := os.Getenv(envFetchAllowHTTP); text != "" && !allowHTTP {
		var err error
		if allowHTTP, err = strconv.ParseBool(text); err != nil {
			return fetch.Options{}, fmt.Errorf("%s: %q is neither true nor false", envFetchAllowHTTP, text)
		}
	}
	opts := fetch.Options{
		Guard: fetch.Guard{
			Allow:     append(strings.Split(os.Getenv(envFetchAllow), ","), f.allow...),
			AllowHTTP: allowHTTP,
		},
		MaxRedirects: f.redirects, SpoolDir: f.spool,
	}
	if opts.SpoolDir == "" {
		opts.SpoolDir = os.TempDir()
	}
	opts.SpoolRoom = func(n int64) error { return storedir.Room(opts.SpoolDir, n, storedir.AutoReserve) }
	if f.redirects < 0 || f.redirects > 3 {
		return opts, fmt.Errorf("%d redirects: want 0 to 3", f.redirects)
	}
	return opts, opts.Guard.Validate()
}

func parseSHA256(text string) ([]byte, error) {
	sum, err := hex.DecodeString(text)
	if err != nil || len(sum) != 0 && len(sum) != 32 {
		return nil, fmt.Errorf("SHA-256 %q: want 64 hexadecimal digits", text)
	}
	return sum, nil
}
