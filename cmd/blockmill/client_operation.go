package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/blockmill/blockmill/cmd/blockmill/remote"
)

// operationView is an operation of the daemon's.
type operationView struct {
	ID          string `json:"id"`
	Description string `json:"description"`
	// ResourceID is what it is about; the name is known once that is made.
	ResourceID   string    `json:"resource_id"`
	ResourceName string    `json:"resource_name,omitempty"`
	CreatedAt    time.Time `json:"created_at"`
	CreatedBy    string    `json:"created_by"`
	ModifiedAt   time.Time `json:"modified_at"`
	Done         bool      `json:"done"`
	// Error is what went wrong, absent when nothing did.
	Error *operationFailure `json:"error,omitempty"`
}

type operationFailure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func viewOperation(op *operation.Operation) operationView {
	v := operationView{
		ID: op.Id, Description: op.Description, CreatedAt: instant(op.CreatedAt), CreatedBy: op.CreatedBy,
		ModifiedAt: instant(op.ModifiedAt), Done: op.Done,
		ResourceID: text(op.GetMetadata(), "_id"), ResourceName: text(op.GetResponse(), "name"),
	}
	if e := op.GetError(); e != nil {
		v.Error = &operationFailure{codes.Code(e.Code).String(), e.Message}
	}
	return v
}

// text is the first field of a message whose name ends so; empty without one, or when
// the message is of no type that is known here.
func text(packed *anypb.Any, end string) string {
	m, err := packed.UnmarshalNew()
	if packed == nil || err != nil {
		return ""
	}
	fields := m.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if strings.HasSuffix(string(f.Name()), end) && f.Kind() == protoreflect.StringKind && !f.IsList() {
			return m.ProtoReflect().Get(f).String()
		}
	}
	return ""
}

// resource is what it is about, by its id and its name.
func (v operationView) resource() string {
	if v.ResourceName == "" {
		return v.ResourceID
	}
	return v.ResourceID + " (" + v.ResourceName + ")"
}

func (v operationView) state() string {
	switch {
	case v.Error != nil:
		return "failed: " + v.Error.Message
	case v.Done:
		return "done"
	}
	return "running"
}

func (v operationView) cells() []any {
	return []any{v.ID, v.Description, v.resource(), v.CreatedAt.Format(time.RFC3339), v.CreatedBy, v.state()}
}

func (v operationView) table(w io.Writer) {
	row(w, "id", v.ID)
	row(w, "description", v.Description)
	row(w, "resource", v.resource())
	row(w, "created", v.CreatedAt.Format(time.RFC3339))
	row(w, "by", v.CreatedBy)
	row(w, "modified", v.ModifiedAt.Format(time.RFC3339))
	row(w, "state", v.state())
}

// printOperations prints a list.
func (a *app) printOperations(all []operationView) error {
	return a.print(all, func(w io.Writer) {
		row(w, "ID", "DESCRIPTION", "RESOURCE", "CREATED", "BY", "STATE")
		for _, v := range all {
			row(w, v.cells()...)
		}
	})
}

func (a *app) operationCommand() *cobra.Command {
	cmd := group("operation", "Work on the operations of a daemon")
	cmd.AddCommand(a.operationListCommand(), a.operationGetCommand(), a.operationWaitCommand(), a.operationCancelCommand())
	return cmd
}

func (a *app) operationListCommand() *cobra.Command {
	var running bool
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the operations of the folder, the newest first",
		Args:    cobra.NoArgs,
		RunE: a.runs(func(cmd *cobra.Command, _ []string) error {
			return a.withDaemon(cmd.Context(), func(c *remote.Client) error {
				all := []operationView{}
				for op, err := range c.ListOperations(cmd.Context(), running) {
					if err != nil {
						return fmt.Errorf("list operations: %w", err)
					}
					all = append(all, viewOperation(op))
				}
				return a.printOperations(all)
			})
		}),
	}
	cmd.Flags().BoolVar(&running, "running", false, "only those that are not done")
	return cmd
}

func (a *app) operationGetCommand() *cobra.Command {
	return a.onOperation("get OPERATION", "Show one operation", func(cmd *cobra.Command, c *remote.Client, id string) (*operation.Operation, error) {
		return c.Operations.Get(cmd.Context(), &operation.GetOperationRequest{OperationId: id})
	})
}

func (a *app) operationWaitCommand() *cobra.Command {
	return a.onOperation("wait OPERATION", "Wait for the end of an operation, and fail as it does", func(cmd *cobra.Command, c *remote.Client, id string) (*operation.Operation, error) {
		op, err := c.Operations.Get(cmd.Context(), &operation.GetOperationRequest{OperationId: id})
		if err != nil {
			return nil, err
		}
		report, stop := a.showProgress("wait")
		defer stop()
		return c.Wait(cmd.Context(), op, report)
	})
}

func (a *app) operationCancelCommand() *cobra.Command {
	return a.onOperation("cancel OPERATION", "Ask for the end of an operation", func(cmd *cobra.Command, c *remote.Client, id string) (*operation.Operation, error) {
		return c.Operations.Cancel(cmd.Context(), &operation.CancelOperationRequest{OperationId: id})
	})
}

// onOperation is a command on one operation, which it prints as it then is.
func (a *app) onOperation(use, short string, act func(cmd *cobra.Command, c *remote.Client, id string) (*operation.Operation, error)) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.ExactArgs(1),
		RunE: a.runs(func(cmd *cobra.Command, args []string) error {
			return a.withDaemon(cmd.Context(), func(c *remote.Client) error {
				op, err := act(cmd, c, args[0])
				if err != nil {
					return fmt.Errorf("%s operation %s: %w", cmd.Name(), args[0], err)
				}
				v := viewOperation(op)
				return a.print(v, v.table)
			})
		}),
	}
}
