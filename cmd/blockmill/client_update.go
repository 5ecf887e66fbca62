package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/blockmill/blockmill/cmd/blockmill/remote"
)

var errNoChange = usageError{errors.New("nothing to change: give at least one flag")}

// updateCommand changes the fields whose flags are given. SizeFlag names the
// flag and the field of the kind's size; both may be empty.
func (r resource[T]) updateCommand(a *app, sizeFlag, sizeField, sizeUsage string) *cobra.Command {
	var mode finishFlags
	var ch changes
	cmd := &cobra.Command{
		Use:   "update " + r.argument(),
		Short: "Change one " + r.noun,
		Long: fmt.Sprintf(`Change one %s. What no flag is given for stays as it is; labels are
replaced as a whole.`, r.noun),
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: r.complete(a),
		RunE: a.runs(func(cmd *cobra.Command, args []string) error {
			ch.mask = &fieldmaskpb.FieldMask{}
			for flag, field := range map[string]string{"name": "name", "description": "description", "label": "labels", "clear-labels": "labels", sizeFlag: sizeField} {
				if flag != "" && cmd.Flags().Changed(flag) {
					ch.mask.Paths = append(ch.mask.Paths, field)
				}
			}
			if len(ch.mask.Paths) == 0 {
				return errNoChange
			}
			return a.withDaemon(cmd.Context(), func(c *remote.Client) error {
				return a.update(cmd, c, mode, func() (*operation.Operation, proto.Message, func() viewed, error) {
					t, err := r.find(c, cmd.Context(), args[0])
					if err != nil {
						return nil, nil, nil, err
					}
					op, err := r.update(cmd.Context(), c, t, ch)
					got := r.response()
					return op, any(got).(proto.Message), func() viewed { return r.view(got) }, err
				}, r.noun+" "+args[0])
			})
		}),
	}
	f := cmd.Flags()
	f.StringVar(&ch.name, "name", "", "the new name")
	f.StringVar(&ch.description, "description", "", "the new description")
	f.StringToStringVar(&ch.labels, "label", nil, "all labels from now on, as KEY=VALUE")
	f.Bool("clear-labels", false, "take all labels away")
	cmd.MarkFlagsMutuallyExclusive("label", "clear-labels")
	if sizeFlag != "" {
		f.Var(&ch.size, sizeFlag, sizeUsage)
	}
	mode.add(cmd)
	return cmd
}

// update begins a mutation and follows it.
func (a *app) update(cmd *cobra.Command, c *remote.Client, mode finishFlags, begin func() (*operation.Operation, proto.Message, func() viewed, error), object string) error {
	op, response, show, err := begin()
	if err == nil {
		err = a.finish(cmd.Context(), c, op, mode, ending{"update", response, show})
	}
	if err != nil {
		return fmt.Errorf("update %s: %w", object, err)
	}
	return nil
}
