package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/protobuf/proto"

	"github.com/blockmill/blockmill/cmd/blockmill/remote"
)

// clientCommands are the commands that ask a daemon.
func (a *app) clientCommands() []*cobra.Command {
	all := []*cobra.Command{a.imageCommand(), a.diskCommand(), a.snapshotCommand(), a.operationCommand(), a.poolCommand(), a.nodeCommand()}
	for _, cmd := range all {
		a.remoteFlags(cmd)
	}
	return all
}

// remoteFlags say which daemon a command is for.
func (a *app) remoteFlags(cmd *cobra.Command) {
	f := cmd.PersistentFlags()
	f.StringVar(&a.remote.Endpoint, "endpoint", os.Getenv("BLOCKMILL_ENDPOINT"), "the daemon: a socket's path or host:port (default the local socket; or $BLOCKMILL_ENDPOINT)")
	f.StringVar(&a.remote.TokenFile, "token-file", os.Getenv("BLOCKMILL_TOKEN_FILE"), "a file with a bearer token (or $BLOCKMILL_TOKEN_FILE)")
	f.StringVar(&a.remote.Folder, "folder", cmp.Or(os.Getenv("BLOCKMILL_FOLDER"), remote.DefaultFolder), "the folder to work in (or $BLOCKMILL_FOLDER)")
	f.BoolVar(&a.remote.TLS, "tls", false, "speak TLS")
	f.StringVar(&a.remote.CAFile, "ca", "", "certificates that vouch for the daemon; implies --tls")
	f.StringVar(&a.remote.CertFile, "cert", "", "the caller's certificate; implies --tls")
	f.StringVar(&a.remote.KeyFile, "key", "", "the key of --cert")
}

// withDaemon connects for the time of body.
func (a *app) withDaemon(ctx context.Context, body func(c *remote.Client) error) error {
	c, err := remote.Dial(a.remote)
	if err != nil {
		return usageError{err}
	}
	defer func() { _ = c.Close() }() // all calls have returned
	return c.Plain(body(c))
}

// viewed is something of the daemon's as a command prints it: a JSON document,
// a line of a list, or a table of its own.
type viewed interface {
	cells() []any
	table(w io.Writer)
}

// ending is how a mutation ends.
type ending struct {
	act      string        // as its progress is called
	response proto.Message // takes the response; nil when there is none
	show     func() viewed // makes of the response what is printed, if anything is
}

// finish prints the result of a mutation: the operation as it is with --async,
// else what its end has to show.
func (a *app) finish(ctx context.Context, c *remote.Client, op *operation.Operation, mode finishFlags, end ending) error {
	if mode.async {
		v := viewOperation(op)
		return a.print(v, v.table)
	}
	report, stop := a.showProgress(end.act)
	op, err := c.Wait(ctx, op, report)
	stop()
	if err != nil {
		return err
	}
	if end.response == nil {
		return nil
	}
	if err := op.GetResponse().UnmarshalTo(end.response); err != nil {
		return fmt.Errorf("read response of operation %s: %w", op.Id, err)
	}
	if end.show == nil {
		return nil
	}
	v := end.show()
	return a.print(v, v.table)
}

// finishFlags say how far a mutation is followed.
type finishFlags struct{ async bool }

func (f *finishFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.async, "async", false, "print the operation and do not wait for its end")
}
