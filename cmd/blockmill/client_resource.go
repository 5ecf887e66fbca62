package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/spf13/cobra"
	"github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/blockmill/blockmill/cmd/blockmill/remote"
	"github.com/blockmill/blockmill/cmd/bytesize"
)

// resource is a kind of thing that the daemon keeps, with what the commands that
// all kinds have need of it.
type resource[T any] struct {
	noun string
	// head are the titles of the cells of a list's lines.
	head   []any
	find   func(c *remote.Client, ctx context.Context, nameOrID string) (T, error)
	list   func(c *remote.Client, ctx context.Context, q remote.Query) iter.Seq2[T, error]
	view   func(T) viewed
	name   func(T) string
	remove func(ctx context.Context, c *remote.Client, t T) (*operation.Operation, error)
	update func(ctx context.Context, c *remote.Client, t T, ch changes) (*operation.Operation, error)
	// response is an empty message of the kind, for responses.
	response func() T
}

// listCommand lists what the folder has.
func (r resource[T]) listCommand(a *app) *cobra.Command {
	var q remote.Query
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the " + r.noun + "s of the folder",
		Example: fmt.Sprintf("  blockmill %s list --filter 'name = \"debian\"'", r.noun),
		Args:    cobra.NoArgs,
		RunE: a.runs(func(cmd *cobra.Command, _ []string) error {
			return a.withDaemon(cmd.Context(), func(c *remote.Client) error {
				all := []viewed{}
				for t, err := range r.list(c, cmd.Context(), q) {
					if err != nil {
						return fmt.Errorf("list %ss: %w", r.noun, err)
					}
					all = append(all, r.view(t))
				}
				return a.print(all, func(w io.Writer) {
					row(w, r.head...)
					for _, v := range all {
						row(w, v.cells()...)
					}
				})
			})
		}),
	}
	cmd.Flags().StringVar(&q.Filter, "filter", "", "only those that an expression holds for, such as name = \"debian\"")
	cmd.Flags().StringVar(&q.OrderBy, "order-by", "createdAt", "the order: id, name or createdAt, and desc behind it for the reverse")
	return cmd
}

// getCommand shows one.
func (r resource[T]) getCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:               "get " + r.argument(),
		Short:             "Show one " + r.noun,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: r.complete(a),
		RunE: a.runs(func(cmd *cobra.Command, args []string) error {
			return a.withDaemon(cmd.Context(), func(c *remote.Client) error {
				t, err := r.find(c, cmd.Context(), args[0])
				if err != nil {
					return fmt.Errorf("get %s %s: %w", r.noun, args[0], err)
				}
				v := r.view(t)
				return a.print(v, v.table)
			})
		}),
	}
}

// deleteCommand deletes any number, one after the other.
func (r resource[T]) deleteCommand(a *app) *cobra.Command {
	var mode finishFlags
	cmd := &cobra.Command{
		Use:               "delete " + r.argument() + "…",
		Aliases:           []string{"rm"},
		Short:             "Delete " + r.noun + "s",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: r.complete(a),
		RunE: a.runs(func(cmd *cobra.Command, args []string) error {
			return a.withDaemon(cmd.Context(), func(c *remote.Client) error {
				begun := []operationView{}
				var err error
				for _, arg := range args {
					var op *operation.Operation
					op, err = r.delete(cmd.Context(), c, arg)
					switch {
					case err == nil && mode.async && len(args) > 1:
						begun = append(begun, viewOperation(op))
					case err == nil:
						err = a.finish(cmd.Context(), c, op, mode, ending{act: "delete"})
					}
					if err != nil {
						err = fmt.Errorf("delete %s %s: %w", r.noun, arg, err)
						break
					}
				}
				if len(begun) == 0 {
					return err
				}
				return errors.Join(err, a.printOperations(begun)) // they go on, whatever came after them
			})
		}),
	}
	mode.add(cmd)
	return cmd
}

// delete begins the deletion of one.
func (r resource[T]) delete(ctx context.Context, c *remote.Client, nameOrID string) (*operation.Operation, error) {
	t, err := r.find(c, ctx, nameOrID)
	if err != nil {
		return nil, err
	}
	return r.remove(ctx, c, t)
}

// changes are what an update is asked to change, field by field.
type changes struct {
	name, description string
	labels            map[string]string
	size              bytesize.Size
	mask              *fieldmaskpb.FieldMask
}

func (r resource[T]) argument() string {
	return map[string]string{"image": "IMAGE", "disk": "DISK", "snapshot": "SNAPSHOT"}[r.noun]
}

// complete completes names.
func (r resource[T]) complete(a *app) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, _ string) (names []cobra.Completion, _ cobra.ShellCompDirective) {
		_ = a.withDaemon(cmd.Context(), func(c *remote.Client) error { // a completion has nobody to tell
			for t, err := range r.list(c, cmd.Context(), remote.Query{}) {
				if err != nil {
					return err
				}
				if n := r.name(t); n != "" {
					names = append(names, n)
				}
			}
			return nil
		})
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
