package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"time"

	"github.com/blockmill/blockmill/api/auth"
	"github.com/blockmill/blockmill/cmd/bytesize"
	"github.com/blockmill/blockmill/convert"
	"github.com/blockmill/blockmill/convert/fetch"
	"github.com/blockmill/blockmill/pool"
)

// none is the value of a socket that is not wanted.
const none = "none"

// validate says everything that is wrong with a configuration.
func (c *config) validate() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("configuration: %s: "+format, append([]any{key}, args...)...))
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Log.Level)); err != nil {
		bad("log.level", "%q, want debug, info, warn or error", c.Log.Level)
	}
	if c.Log.Format != "text" && c.Log.Format != "json" {
		bad("log.format", "%q, want text or json", c.Log.Format)
	}
	for key, d := range map[string]time.Duration{
		"stop_timeout": c.StopTimeout, "maintenance.gc_interval": c.Maintenance.GCInterval,
		"maintenance.scrub_interval": c.Maintenance.ScrubInterval, "operations.history_age": c.Operations.HistoryAge,
	} {
		if d < 0 {
			bad(key, "%v is less than nothing", d)
		}
	}
	for key, n := range map[string]int{
		"limits.connections": c.Limits.Connections, "limits.streams": c.Limits.Streams, "limits.calls": c.Limits.Calls,
		"limits.requests": c.Limits.Requests, "limits.subject_calls": c.Limits.SubjectCalls,
		"limits.subject_requests": c.Limits.SubjectRequests, "operations.workers": c.Operations.Workers,
		"operations.queue": c.Operations.Queue, "operations.history_count": c.Operations.HistoryCount,
	} {
		if n < 1 {
			bad(key, "%d, want at least 1", n)
		}
	}
	if c.Memory.Arena < minArena || c.Memory.Limit < c.Memory.Arena+minHeap {
		bad("memory", "an arena of %v within %v, want at least %v, and %v beside it", c.Memory.Arena, c.Memory.Limit, bytesize.Size(minArena), bytesize.Size(minHeap))
	}
	for _, name := range c.Import.Formats {
		if _, err := convert.ParseFormat(name); err != nil || name == "" {
			bad("import.formats", "%q is no format", name)
		}
	}
	e := c.Export
	all := e.Endpoint != "" && len(e.Buckets) > 0 && e.AccessKeyFile != "" && e.SecretKeyFile != ""
	if none := e.Endpoint == "" && len(e.Buckets) == 0 && e.AccessKeyFile == "" && e.SecretKeyFile == ""; !all && !none {
		bad("export", "want all of endpoint, buckets, access_key_file and secret_key_file, or none")
	}
	if c.DefaultFolder == "" {
		bad("default_folder", "is empty")
	}
	if _, err := c.accounts(); err != nil {
		bad("auth.accounts", "%w", err)
	}
	if err := (fetch.Guard{Allow: c.Fetch.Allow}).Validate(); err != nil {
		bad("fetch.allow", "%w", err)
	}
	if n := c.Fetch.MaxRedirects; n < 0 || n > 3 {
		bad("fetch.max_redirects", "%d, want 0 to 3", n)
	}
	errs = append(errs, c.checkListeners(), c.checkStore(), c.checkDisks())
	return errors.Join(errs...)
}

// The least memory that the daemon works with.
const (
	minArena = 64 << 20
	minHeap  = 128 << 20
)

// checkListeners holds listeners against who may call: a node that is open to
// everybody on its machine must not be open to others.
func (c *config) checkListeners() error {
	var errs []error
	for key, l := range map[string]struct {
		addresses []string
		tls       tlsConfig
		open      bool // anybody may connect without being known
	}{
		"grpc":    {c.GRPC.Listen, c.GRPC.TLS, len(c.Auth.Accounts) == 0},
		"rest":    {c.REST.Listen, c.REST.TLS, len(c.Auth.Accounts) == 0},
		"nbd":     {c.NBD.Listen, c.NBD.TLS, len(c.Auth.Accounts) == 0},
		"metrics": {c.Metrics.Listen, tlsConfig{}, false},
	} {
		if l.tls.enabled() && (l.tls.Certificate == "" || l.tls.Key == "") {
			errs = append(errs, fmt.Errorf("configuration: %s.tls: want a certificate and its key", key))
		}
		for _, address := range l.addresses {
			host, port, err := net.SplitHostPort(address)
			if err == nil {
				_, err = net.LookupPort("tcp", port)
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("configuration: %s.listen: %q, want host:port", key, address))
				continue
			}
			local := isLoopback(host)
			switch {
			case !local && l.open:
				errs = append(errs, fmt.Errorf("configuration: %s.listen: %s is open to other machines, and auth.accounts are empty", key, address))
			case !local && key == "nbd" && l.tls.ClientCA == "":
				errs = append(errs, fmt.Errorf("configuration: nbd.listen: %s is open to other machines: nbd.tls.client_ca has to say which certificates its clients have", address))
			case !local && key != "metrics" && !l.tls.enabled():
				errs = append(errs, fmt.Errorf("configuration: %s.listen: %s is open to other machines, and %s.tls is not there", key, address, key))
			}
		}
	}
	return errors.Join(errs...)
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (c *config) checkStore() error {
	s := c.Store
	if len(s.Shards) == 0 && s.Data == 1 && s.Parity == 0 {
		return nil
	}
	if s.Data < 1 || s.Parity < 0 || len(s.Shards) != s.Data+s.Parity {
		return fmt.Errorf("configuration: store: %d shards, want as many as data + parity: %d + %d", len(s.Shards), s.Data, s.Parity)
	}
	for _, dir := range s.Shards {
		if !filepath.IsAbs(dir) {
			return fmt.Errorf("configuration: store.shards: %q is no absolute path", dir)
		}
	}
	return nil
}

// accounts are those of the configuration as package auth has them.
func (c *config) accounts() ([]auth.Account, error) {
	var all []auth.Account
	for _, a := range c.Auth.Accounts {
		folders := make(map[pool.FolderID]auth.Grant)
		for folder, name := range a.Folders {
			grant, ok := auth.ParseRole(name)
			if !ok {
				return nil, fmt.Errorf("%s: %q is no role", a.ID, name)
			}
			folders[pool.FolderID(folder)] = grant
		}
		all = append(all, auth.Account{
			ID: a.ID, Type: a.Type, Folders: folders, TokenSHA256: a.TokenSHA256,
			Certificates: a.Certificates, UIDs: a.UIDs, GIDs: a.GIDs,
		})
	}
	return all, new(auth.Authenticator).SetAccounts(all)
}

// formats are those that images may come in.
func (c *config) formats() ([]convert.Format, error) {
	all := []convert.Format{}
	for _, name := range c.Import.Formats {
		f, err := convert.ParseFormat(name)
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return all, nil
}
