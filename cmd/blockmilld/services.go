package main

import (
	"context"
	"crypto/tls"
	"net"
	"strconv"

	"github.com/yandex-cloud/go-genproto/yandex/cloud/endpoint"
	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"

	"github.com/blockmill/blockmill/api/auth"
	"github.com/blockmill/blockmill/api/compute"
	"github.com/blockmill/blockmill/api/node"
	"github.com/blockmill/blockmill/api/operation"
	"github.com/blockmill/blockmill/api/server"
	"github.com/blockmill/blockmill/api/status"
	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/blockio/stripe"
)

// openEngine opens the queue of operations, with those that only the records have.
func (d *daemon) openEngine(ctx context.Context) (err error) {
	d.events = new(node.EventLog)
	o := d.conf.Operations
	d.engine, err = operation.Open(ctx, operation.Options{
		Dir: d.paths.operations, Workers: o.Workers, Queue: o.Queue,
		HistoryAge: o.HistoryAge, HistoryCount: o.HistoryCount,
		Status: status.Proto, Ended: d.operationEnded, Logger: d.log, Metrics: operation.NewMetrics(d.registry),
	})
	if err != nil {
		return err
	}
	return d.engine.Recover(d.node.Submissions())
}

// operationEnded makes an event of an operation's end.
func (d *daemon) operationEnded(info operation.Info, op *opb.Operation) {
	text := op.GetDescription() + ": done"
	if e := op.GetError(); e != nil {
		text = op.GetDescription() + ": " + e.GetMessage()
	}
	d.events.Add("operation.ended", info.ResourceID, text)
	d.log.Info("an operation ended", "operation", op.GetId(), "kind", info.Kind, "folder", info.Folder,
		"resource", info.ResourceID, "code", op.GetError().GetCode())
}

// storeMetrics registers what the store counts.
func (d *daemon) storeMetrics() error {
	shards, err := stripe.NewMetrics(d.registry, d.store.dir.Volume)
	if err != nil {
		return err
	}
	chunks, err := cas.NewMetrics(d.registry, d.store.Store)
	d.refreshed = []refreshed{shards, chunks}
	return err
}

// openServer makes the services and the server that they are on.
func (d *daemon) openServer(context.Context) error {
	d.auth = new(auth.Authenticator)
	if err := d.setAccounts(d.conf); err != nil {
		return err
	}
	l := d.conf.Limits
	d.server = server.New(server.Options{
		Authenticator: d.auth, Status: status.Proto, Refuse: d.space.refuse,
		Limits: server.Limits{
			Connections: l.Connections, Streams: l.Streams, Calls: l.Calls, Requests: l.Requests,
			SubjectCalls: l.SubjectCalls, SubjectRequests: l.SubjectRequests, MessageBytes: int(l.Message),
		},
		Poll: l.Poll, Hosts: d.conf.REST.Hosts, Logger: d.log, Metrics: server.NewMetrics(d.registry),
	})
	opb.RegisterOperationServiceServer(d.server, &server.Operations{Engine: d.engine})
	endpoint.RegisterApiEndpointServiceServer(d.server, &server.Endpoints{
		Address: d.conf.GRPC.Advertise, Default: d.grpcAddress,
	})
	if err := d.openFetch(); err != nil {
		return err
	}
	export, err := d.conf.exportOptions()
	if err != nil {
		return err
	}
	d.compute, err = compute.New(compute.Options{
		Node: d.node, Operations: d.engine, Fetch: d.fetchOptions(d.conf), Export: export,
	})
	if err != nil {
		return err
	}
	d.compute.Register(d.server)
	d.services = node.New(node.Options{
		Node: d.node, Operations: d.engine, Keeper: d.keeper, Events: d.events, Images: d.compute,
	})
	d.services.Register(d.server)
	return nil
}

// setAccounts lets those call that a configuration names.
func (d *daemon) setAccounts(c *config) error {
	if len(c.Auth.Accounts) == 0 {
		d.auth.Open()
		d.log.Warn("no accounts are configured: every caller on this machine is an admin of every folder")
	} else {
		accounts, err := c.accounts()
		if err == nil {
			err = d.auth.SetAccounts(accounts)
		}
		if err != nil {
			return err
		}
	}
	d.admitted.Store(c)
	return nil
}

// grpcAddress is where clients find gRPC that came otherwise.
func (d *daemon) grpcAddress() string {
	if len(d.conf.GRPC.Listen) == 0 {
		return ""
	}
	host, port, err := net.SplitHostPort(d.conf.GRPC.Listen[0])
	if err != nil || port != "0" {
		return d.conf.GRPC.Listen[0]
	}
	return net.JoinHostPort(host, strconv.Itoa(d.grpcPort))
}

// listen opens the listeners and begins to serve.
func (d *daemon) listen() error {
	grpcTLS, err := d.tls(d.conf.GRPC.TLS)
	if err != nil {
		return err
	}
	restTLS, err := d.tls(d.conf.REST.TLS)
	if err != nil {
		return err
	}
	rest, err := d.server.REST(d.page())
	if err != nil {
		return err
	}
	forGRPC, err := d.inherited.listen("grpc", d.paths.grpcSocket, d.conf.GRPC.Listen)
	if err != nil {
		return err
	}
	for _, l := range forGRPC { // before anybody asks
		if a, ok := l.Addr().(*net.TCPAddr); ok && d.grpcPort == 0 {
			d.grpcPort = a.Port
		}
	}
	for _, l := range forGRPC {
		cfg := grpcTLS
		if l.Addr().Network() == "unix" {
			cfg = nil
		}
		d.serveOn(l, func(l net.Listener) error { return d.server.ServeGRPC(l, cfg) })
		d.log.Info("listening", "for", "grpc", "address", l.Addr().String(), "tls", cfg != nil)
	}
	forREST, err := d.inherited.listen("rest", "", d.conf.REST.Listen)
	if err != nil {
		return err
	}
	for _, l := range forREST {
		d.serveOn(l, func(l net.Listener) error { return d.server.ServeREST(l, restTLS, rest) })
		d.log.Info("listening", "for", "rest", "address", l.Addr().String(), "tls", restTLS != nil)
	}
	if err := d.listenNBD(); err != nil {
		return err
	}
	if left := d.inherited.rest(); left != "" {
		d.log.Warn("systemd handed over sockets with names that mean nothing", "names", left)
	}
	return nil
}

// tls reads the certificates of a listener, and remembers to read them again.
func (d *daemon) tls(t tlsConfig) (*tls.Config, error) {
	if !t.enabled() {
		return nil, nil
	}
	c, err := auth.OpenCertificates(auth.CertificateFiles{Certificate: t.Certificate, Key: t.Key, ClientCA: t.ClientCA})
	if err != nil {
		return nil, err
	}
	d.certificates = append(d.certificates, c)
	return c.Config(), nil
}
