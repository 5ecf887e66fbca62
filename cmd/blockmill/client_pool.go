package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/blockmill/blockmill/api/blockmillpb"
	"github.com/blockmill/blockmill/cmd/blockmill/remote"
)

// poolView is the pool of an image. Sizes are in bytes.
type poolView struct {
	ImageID       string  `json:"image_id"`
	Min           int64   `json:"min"`
	Max           int64   `json:"max"`
	Capacity      int64   `json:"capacity"`
	IdleSeconds   int64   `json:"idle_seconds"`
	Ready         int64   `json:"ready"`
	Target        int64   `json:"target"`
	Waiting       int64   `json:"waiting"`
	Bytes         int64   `json:"bytes"`
	Method        string  `json:"method"`
	Hits          uint64  `json:"hits"`
	Misses        uint64  `json:"misses"`
	RefillSeconds float64 `json:"refill_seconds"`
}

func viewPool(p *blockmillpb.Pool) poolView {
	return poolView{
		p.ImageId, p.Min, p.Max, p.Capacity, p.IdleSeconds, p.Ready, p.Target, p.Waiting, p.Bytes, p.Method,
		p.Hits, p.Misses, p.RefillSeconds,
	}
}

func (v poolView) table(w io.Writer) {
	row(w, "image", v.ImageID)
	row(w, "ready", fmt.Sprintf("%d of %d", v.Ready, v.Target))
	row(w, "waiting", v.Waiting)
	row(w, "least", v.Min)
	row(w, "most", orWord(v.Max, v.Max, "none"))
	row(w, "capacity", v.Capacity)
	row(w, "idle", orWord(v.IdleSeconds, time.Duration(v.IdleSeconds)*time.Second, "never"))
	row(w, "bytes", human(v.Bytes))
	row(w, "method", v.Method)
	row(w, "hits", fmt.Sprintf("%d, %d misses", v.Hits, v.Misses))
	row(w, "refill", fmt.Sprintf("%.3f s", v.RefillSeconds))
}

// orWord shows a setting, of which 0 leaves it to the daemon and a negative one has
// a word of its own.
func orWord(n int64, shown any, negative string) any {
	switch {
	case n == 0:
		return "default"
	case n < 0:
		return negative
	}
	return shown
}

func (a *app) poolCommand() *cobra.Command {
	cmd := group("pool", "Work on the pools of ready disks of a daemon")
	cmd.AddCommand(a.poolListCommand(), a.poolGetCommand(), a.poolSetCommand())
	return cmd
}

func (a *app) poolListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the pools of the folder's images", Args: cobra.NoArgs,
		RunE: a.runs(func(cmd *cobra.Command, _ []string) error {
			return a.withDaemon(cmd.Context(), func(c *remote.Client) error {
				r, err := c.Pools().List(cmd.Context(), &blockmillpb.ListPoolsRequest{FolderId: c.Folder()})
				if err != nil {
					return fmt.Errorf("list pools: %w", err)
				}
				all := []poolView{}
				for _, p := range r.Pools {
					all = append(all, viewPool(p))
				}
				return a.print(all, func(w io.Writer) {
					row(w, "IMAGE", "READY", "TARGET", "WAITING", "BYTES", "METHOD", "HITS", "MISSES")
					for _, v := range all {
						row(w, v.ImageID, v.Ready, v.Target, v.Waiting, human(v.Bytes), v.Method, v.Hits, v.Misses)
					}
				})
			})
		}),
	}
}

func (a *app) poolGetCommand() *cobra.Command {
	return &cobra.Command{
		Use: "get IMAGE", Short: "Show the pool of an image", Args: cobra.ExactArgs(1),
		ValidArgsFunction: images().complete(a),
		RunE: a.runs(func(cmd *cobra.Command, args []string) error {
			return a.withDaemon(cmd.Context(), func(c *remote.Client) error {
				img, err := c.Image(cmd.Context(), args[0])
				var p *blockmillpb.Pool
				if err == nil {
					p, err = c.Pools().Get(cmd.Context(), &blockmillpb.GetPoolRequest{ImageId: img.Id})
				}
				if err != nil {
					return fmt.Errorf("get pool of image %s: %w", args[0], err)
				}
				v := viewPool(p)
				return a.print(v, v.table)
			})
		}),
	}
}

var errNoSetting = usageError{errors.New("nothing to set: give at least one of --min, --max, --capacity and --idle")}

func (a *app) poolSetCommand() *cobra.Command {
	var least, most, capacity int64
	var idle time.Duration
	cmd := &cobra.Command{
		Use:   "set IMAGE",
		Short: "Set how many disks of an image are kept ready",
		Long: `Set how many disks of an image are kept ready. By default the number follows the
demand, between the bounds; a capacity other than 0 fixes it. What no flag is
given for stays as it is.`,
		Example:           `  blockmill pool set debian --min 2 --max 20`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: images().complete(a),
		RunE: a.runs(func(cmd *cobra.Command, args []string) error {
			req := &blockmillpb.SetPoolRequest{}
			seconds := int64(idle / time.Second)
			given := false
			for flag, field := range map[string]struct {
				to   **int64
				from *int64
			}{"min": {&req.Min, &least}, "max": {&req.Max, &most}, "capacity": {&req.Capacity, &capacity}, "idle": {&req.IdleSeconds, &seconds}} {
				if cmd.Flags().Changed(flag) {
					*field.to, given = field.from, true
				}
			}
			if !given {
				return errNoSetting
			}
			return a.withDaemon(cmd.Context(), func(c *remote.Client) error {
				img, err := c.Image(cmd.Context(), args[0])
				var p *blockmillpb.Pool
				if err == nil {
					req.ImageId = img.Id
					p, err = c.Pools().Set(cmd.Context(), req)
				}
				if err != nil {
					return fmt.Errorf("set pool of image %s: %w", args[0], err)
				}
				v := viewPool(p)
				return a.print(v, v.table)
			})
		}),
	}
	f := cmd.Flags()
	f.Int64Var(&least, "min", 0, "the least that are kept ready")
	f.Int64Var(&most, "max", 0, "the most that are kept ready; 0 is 64, -1 keeps none")
	f.Int64Var(&capacity, "capacity", 0, "exactly so many; 0 follows the demand")
	f.DurationVar(&idle, "idle", 0, "the time without demand after which only the least is kept, such as 30m; 0 is an hour, -1s never")
	return cmd
}
