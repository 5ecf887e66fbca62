package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/blockmill/blockmill/cmd/release"
)

// serve is the life of the daemon: until the context ends or a listener fails.
func serve(ctx context.Context, from sources) error {
	_, conf, err := from.load()
	if err != nil {
		return err
	}
	d, err := newDaemon(conf)
	if err != nil {
		return err
	}
	if os.Getenv("GOMAXPROCS") == "" {
		spareProcessors()
	}
	heap := limitHeap(conf.Memory.Limit, conf.Memory.Arena, os.Getenv, d.log)
	following, stop := context.WithCancel(ctx)
	var follower sync.WaitGroup
	follower.Go(func() { heap.follow(following) })
	err = d.live(ctx, from)
	stop()
	follower.Wait()
	d.supervisor.stopping()
	d.log.Info("stopping")
	if stopErr := d.stop(); stopErr != nil {
		err = errors.Join(err, fmt.Errorf("stop: %w", stopErr))
	}
	return err
}

func newDaemon(conf *config) (*daemon, error) {
	level := new(slog.LevelVar)
	if err := setLevel(level, conf.Log.Level); err != nil {
		return nil, err
	}
	p, err := conf.paths(os.Getenv)
	if err != nil {
		return nil, err
	}
	handed, err := inheritedListeners()
	if err != nil {
		return nil, err
	}
	log := newLog(os.Stderr, conf.Log.Format, level)
	return &daemon{
		conf: conf, paths: p, log: log, level: level, registry: newRegistry(),
		supervisor: supervisor{log}, inherited: handed, failed: make(chan error, 1),
	}, nil
}

// live starts everything and waits for the end.
func (d *daemon) live(ctx context.Context, from sources) error {
	d.log.Info("starting", "version", release.Version(version), "data", d.paths.data)
	hangUp := make(chan os.Signal, 1)
	signal.Notify(hangUp, syscall.SIGHUP)
	defer signal.Stop(hangUp)

	started := d.supervisor.starting()
	err := d.start(ctx)
	started()
	if err != nil {
		return err
	}
	d.supervisor.ready()
	d.log.Info("ready")

	background, stop := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer stop()
	work.Go(func() { d.supervisor.watchdog(background, d.well) })
	work.Go(func() { d.upkeep().run(background) })
	work.Go(func() { refresh(background, d.conf.Metrics.Refresh, d.refreshed, d.log) })
	renew := time.NewTicker(certificatesEvery)
	defer renew.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-d.failed:
			return err
		case <-hangUp:
			d.reload(from)
		case <-renew.C:
			d.renewCertificates(false)
		}
	}
}

func (d *daemon) start(ctx context.Context) error {
	if err := d.open(ctx); err != nil {
		return err
	}
	if err := d.engine.Start(ctx); err != nil {
		return err
	}
	if err := d.compute.Sweep(ctx); err != nil {
		d.log.Warn("what interrupted imports left is still there", "reason", err)
	}
	if err := d.listen(); err != nil {
		return err
	}
	d.server.SetServing(true)
	d.health.ready.Store(true)
	return nil
}

// well says whether the daemon can do its work: whether its parts still answer.
func (d *daemon) well(context.Context) error {
	d.engine.Load()
	return nil
}

func (d *daemon) upkeep() *upkeep {
	m := d.conf.Maintenance
	return &upkeep{
		engine: d.engine, keeper: d.keeper, log: d.log,
		collect: m.GCInterval, scrub: m.ScrubInterval, repair: m.ScrubRepair, recompress: m.Recompress,
	}
}
