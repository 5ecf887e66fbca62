package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/blockmill/blockmill/api/auth"
	"github.com/blockmill/blockmill/api/compute"
	"github.com/blockmill/blockmill/api/node"
	"github.com/blockmill/blockmill/api/operation"
	"github.com/blockmill/blockmill/api/server"
	"github.com/blockmill/blockmill/blockio/nbd"
	"github.com/blockmill/blockmill/blockio/scrub"
	"github.com/blockmill/blockmill/convert/fetch"
	"github.com/blockmill/blockmill/pool"
	"github.com/blockmill/blockmill/pool/ready"
)

// daemon is everything that runs. What stands higher uses what stands lower, and
// is stopped before it.
type daemon struct {
	conf       *config
	paths      paths
	log        *slog.Logger
	level      *slog.LevelVar
	registry   *prometheus.Registry
	supervisor supervisor
	inherited  inherited
	health     health
	refreshed  []refreshed

	memory arenas
	store  *store
	node   *pool.Node
	keeper *keeper
	engine *operation.Engine
	events *node.EventLog
	space  *space

	auth         *auth.Authenticator
	admitted     atomic.Pointer[config] // whose accounts are in force
	certificates []*auth.Certificates
	server       *server.Server
	services     *node.Services
	grpcPort     int // of the first address; 0 until it is listened on
	nbd          *nbd.Server
	compute      *compute.Services
	fetchMetrics *fetch.Metrics
	observer     *http.Server // metrics and health

	serving sync.WaitGroup
	failed  chan error // of a listener; its first error ends the daemon
}

// open opens everything up to the services, of which none serves yet.
func (d *daemon) open(ctx context.Context) error {
	if err := d.paths.make(); err != nil {
		return err
	}
	steps := []func(context.Context) error{d.observe, d.openStore, d.openNode, d.openEngine, d.openServer}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// openStore opens the store; on the first start it makes one. A data directory
// that was used before and has none now misses a disk.
func (d *daemon) openStore(ctx context.Context) error {
	d.memory = newArenas(d.conf.Memory.Arena)
	_, err := os.Stat(d.paths.operations)
	s, err := openStore(ctx, d.paths.store, d.conf.Store, storeOptions{arena: d.memory.store, log: d.log, create: errors.Is(err, os.ErrNotExist)})
	if err != nil {
		return err
	}
	d.store = s
	d.space = &space{dirs: []string{d.paths.data, d.paths.store}, reserve: int64(d.conf.Store.Reserve)}
	d.health.degraded = d.space.check
	return d.storeMetrics()
}

// openNode reads the records.
func (d *daemon) openNode(ctx context.Context) error {
	formats, err := d.conf.formats()
	if err != nil {
		return err
	}
	dirs, err := d.diskDirectories()
	if err != nil {
		return err
	}
	n, err := pool.Open(ctx, pool.Options{
		Store: d.store.Store, Arena: d.memory.store, DefaultFolder: pool.FolderID(d.conf.DefaultFolder),
		Formats: formats, MaxVirtualSize: int64(d.conf.Import.MaxVirtualSize), Logger: d.log,
		Workers: importWorkers(), Share: importShare(), Background: background,
		Disks: dirs, NBDURI: d.diskURI,
		Ready: ready.Options{ByteBudget: int64(d.conf.Disks.Ready), Metrics: ready.NewMetrics(d.registry)},
	})
	if err != nil {
		return fmt.Errorf("open node: %w", err)
	}
	d.node = n
	if wrong := d.node.Damage(); wrong != nil {
		d.log.Error("some records cannot be read", "reason", wrong)
	}
	scrubber := scrub.New(d.store.dir)
	if err := scrubber.Register(d.registry); err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	d.keeper = &keeper{store: d.store, scrubber: scrubber, node: d.node, rate: int64(d.conf.Maintenance.ScrubRate)}
	return nil
}

// stop stops everything in the opposite order, as far as it was opened.
func (d *daemon) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), d.conf.StopTimeout)
	defer cancel()
	d.health.ready.Store(false)
	var errs []error
	if d.events != nil {
		d.events.Close()
	}
	if d.engine != nil {
		errs = append(errs, d.engine.Close(ctx))
	}
	if d.server != nil {
		errs = append(errs, d.server.Shutdown(ctx))
	}
	if d.nbd != nil {
		errs = append(errs, d.nbd.Shutdown(ctx))
	}
	if d.observer != nil {
		errs = append(errs, d.observer.Close())
	}
	d.serving.Wait()
	if d.node != nil {
		errs = append(errs, d.node.Close())
	}
	if d.store != nil {
		errs = append(errs, d.store.close(ctx))
	}
	return errors.Join(errs...)
}

// serveOn serves a listener until the daemon stops.
func (d *daemon) serveOn(l net.Listener, serve func(net.Listener) error) {
	d.serving.Go(func() {
		if err := serve(l); err != nil {
			select {
			case d.failed <- err:
			default: // another one failed first
			}
		}
	})
}

// observers is how many connections those of metrics and health may have.
const observers = 64

// observe serves metrics and health, from the beginning on.
func (d *daemon) observe(context.Context) error {
	listeners, err := d.inherited.listen("metrics", "", d.conf.Metrics.Listen)
	if err != nil {
		return err
	}
	d.observer = &http.Server{
		Handler: d.health.handler(d.registry), MaxHeaderBytes: 16 << 10,
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 20 * time.Second, IdleTimeout: 5 * time.Minute,
		WriteTimeout: 10 * time.Minute, // profiles are not longer
		ErrorLog:     slog.NewLogLogger(d.log.Handler(), slog.LevelDebug),
	}
	for _, l := range listeners {
		d.log.Info("listening", "for", "metrics", "address", l.Addr().String(), "tls", false)
		d.serveOn(l, func(l net.Listener) error {
			if err := d.observer.Serve(server.Bound(l, observers)); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serve metrics on %v: %w", l.Addr(), err)
			}
			return nil
		})
	}
	return nil
}
