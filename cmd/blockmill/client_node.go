package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/protobuf/proto"

	"github.com/blockmill/blockmill/api/blockmillpb"
	"github.com/blockmill/blockmill/cmd/blockmill/remote"
)

func (a *app) nodeCommand() *cobra.Command {
	cmd := group("node", "Look after the node of a daemon")
	cmd.AddCommand(a.nodeStatCommand(), a.nodeScrubCommand(), a.nodeGCCommand(), a.nodeEventsCommand())
	return cmd
}

func (a *app) nodeStatCommand() *cobra.Command {
	return &cobra.Command{
		Use: "stat", Short: "Show what the node holds, its shards and its disk directories", Args: cobra.NoArgs,
		RunE: a.runs(func(cmd *cobra.Command, _ []string) error {
			return a.withDaemon(cmd.Context(), func(c *remote.Client) error {
				st, err := c.Node().Stat(cmd.Context(), &blockmillpb.StatRequest{})
				if err != nil {
					return fmt.Errorf("stat node: %w", err)
				}
				v := viewNode(st)
				return a.print(v, v.table)
			})
		}),
	}
}

func (a *app) nodeScrubCommand() *cobra.Command {
	var repair, full bool
	var got blockmillpb.ScrubReport
	cmd := a.onNode(nodeWork{
		name: "scrub", short: "Compare what is stored with its checksums",
		begin: func(ctx context.Context, c *remote.Client) (*operation.Operation, error) {
			return c.Scrub(ctx, repair, full)
		},
		report: &got,
		show: func() error {
			v := viewScrub(&got)
			return errors.Join(a.print(v, v.table), v.left())
		},
	})
	cmd.Long = `Scrub reads the shards and compares them with their checksums. What cannot be
repaired is reported with the images and the guest ranges that it touches. Exit
status 1 when damage is left.`
	cmd.Flags().BoolVar(&repair, "repair", false, "rebuild what is damaged")
	cmd.Flags().BoolVar(&full, "full", false, "also read the images and compare their digests")
	return cmd
}

func (a *app) nodeGCCommand() *cobra.Command {
	var recompress bool
	var got blockmillpb.GarbageReport
	cmd := a.onNode(nodeWork{
		name: "gc", short: "Give back the space of what nothing needs any more",
		begin: func(ctx context.Context, c *remote.Client) (*operation.Operation, error) {
			return c.CollectGarbage(ctx, recompress)
		},
		report: &got,
		show: func() error {
			v := viewGarbage(&got)
			return a.print(v, v.table)
		},
	})
	cmd.Flags().BoolVar(&recompress, "recompress", false, "also compress again what is not compressed well")
	return cmd
}

// nodeWork is an operation on the whole node.
type nodeWork struct {
	name, short string
	begin       func(ctx context.Context, c *remote.Client) (*operation.Operation, error)
	report      proto.Message // its response, which show prints
	show        func() error
}

// onNode is a command that carries out an operation on the whole node.
func (a *app) onNode(w nodeWork) *cobra.Command {
	var mode finishFlags
	cmd := &cobra.Command{
		Use: w.name, Short: w.short, Args: cobra.NoArgs,
		RunE: a.runs(func(cmd *cobra.Command, _ []string) error {
			return a.withDaemon(cmd.Context(), func(c *remote.Client) error {
				op, err := w.begin(cmd.Context(), c)
				if err == nil {
					err = a.finish(cmd.Context(), c, op, mode, ending{act: w.name, response: w.report})
				}
				if err == nil && !mode.async {
					err = w.show()
				}
				if err != nil {
					return fmt.Errorf("%s node: %w", w.name, err)
				}
				return nil
			})
		}),
	}
	mode.add(cmd)
	return cmd
}

// eventView is something that happened on the node.
type eventView struct {
	Time     time.Time `json:"time"`
	Kind     string    `json:"kind"`
	Resource string    `json:"resource"`
	Text     string    `json:"text"`
}

func (a *app) nodeEventsCommand() *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Show what happens on the node",
		Long: `Show what happened on the node of late, a line each, and with --follow what
happens from now on. With -o json each line is a JSON document.`,
		Args: cobra.NoArgs,
		RunE: a.runs(func(cmd *cobra.Command, _ []string) error {
			return a.withDaemon(cmd.Context(), func(c *remote.Client) error {
				if err := a.events(cmd.Context(), c, follow); err != nil {
					return fmt.Errorf("read events: %w", err)
				}
				return nil
			})
		}),
	}
	cmd.Flags().BoolVar(&follow, "follow", false, "go on until interrupted")
	return cmd
}

func (a *app) events(ctx context.Context, c *remote.Client, follow bool) error {
	stream, err := c.Node().Events(ctx, &blockmillpb.EventsRequest{Follow: follow})
	if err != nil {
		return err
	}
	for {
		e, err := stream.Recv()
		if errors.Is(err, io.EOF) || ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		v := eventView{instant(e.Time), e.Kind, e.ResourceId, e.Text}
		if err := a.printLine(v, func(w io.Writer) { row(w, v.Time.Format(time.RFC3339), v.Kind, v.Resource, v.Text) }); err != nil {
			return err
		}
	}
}
