package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	compute "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"

	"github.com/blockmill/blockmill/bench/load"
	"github.com/blockmill/blockmill/cmd/blockmill/remote"
	"github.com/blockmill/blockmill/cmd/bytesize"
	"github.com/spf13/cobra"
)

// loadFlags are the flags of load.
type loadFlags struct {
	remote      remote.Options
	image, zone string
	mix         map[string]string
	nbd         string
	block       bytesize.Size
	callers     int
	rate        float64
	duration    time.Duration
	output      outputFlag
	start       string
	create      string
	meanwhile   string
}

func loadCommand() *cobra.Command {
	flags := loadFlags{block: 4 << 10, output: outputTable}
	cmd := &cobra.Command{
		Use:   "load",
		Short: "Put a daemon under load and say how long its answers take",
		Long: `Put a daemon under load and say how long its answers take: requests of its API
by --mix (get, list, update of an image, disk: one made and deleted), or with
--nbd reads of an export at random places. With --rate requests are due at
fixed times and one that is sent late counts from when it was due; without,
each caller asks again as soon as it is answered. Times are those of requests
that succeeded; when one fails, so does the command, after its report.`,
		Example: "  blockbench load --start var/load --create debian.qcow2 --import other.qcow2 --mix get=9,list=1 --rate 500\n" +
			"  blockbench load --image debian --mix get=9,list=1 --rate 500\n" +
			"  blockbench load --image debian --mix disk=1 --callers 50\n" +
			"  blockbench load --nbd 'nbd+unix:///image?socket=/run/blockmill/nbd.sock' --callers 32",
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return runLoad(cmd, flags) },
	}
	f := cmd.Flags()
	f.StringVar(&flags.remote.Endpoint, "endpoint", "", "the daemon: a socket's path or host:port (default the local socket)")
	f.StringVar(&flags.remote.TokenFile, "token-file", "", "a file with a bearer token")
	f.StringVar(&flags.remote.CAFile, "ca", "", "certificates that vouch for the daemon")
	f.StringVar(&flags.remote.Folder, "folder", remote.DefaultFolder, "the folder of what is listed and made")
	f.StringVar(&flags.image, "image", "", "id or name of the image that is asked for, and of which disks are made")
	f.StringVar(&flags.zone, "zone", "", "the zone of disks")
	f.StringToStringVar(&flags.mix, "mix", map[string]string{"get": "9", "list": "1"}, "how often each act is chosen")
	f.StringVar(&flags.nbd, "nbd", "", "an NBD URI: nbd://HOST:PORT/EXPORT or nbd+unix:///EXPORT?socket=PATH")
	f.Var(&flags.block, "block", "bytes of an NBD read")
	f.IntVar(&flags.callers, "callers", 16, "requests at once")
	f.Float64Var(&flags.rate, "rate", 0, "requests a second in all (0: as many as are answered)")
	f.DurationVar(&flags.duration, "duration", 10*time.Second, "how long")
	f.StringVar(&flags.start, "start", "", "start a daemon on this data directory, for the time of the load")
	f.StringVar(&flags.create, "create", "", "make the image of this file first, pooled when disks are made")
	f.StringVar(&flags.meanwhile, "import", "", "make images of this file, one after another, while the load goes on")
	f.VarP(&flags.output, "output", "o", "table or json")
	return cmd
}

func runLoad(cmd *cobra.Command, flags loadFlags) (err error) {
	opts := load.Options{Callers: flags.callers, Rate: flags.rate, Duration: flags.duration}
	if flags.start != "" {
		d, startErr := startDaemon(cmd.Context(), flags.start)
		if startErr != nil {
			return startErr
		}
		defer func() { err = errors.Join(err, d.stop()) }()
		flags.remote.Endpoint = d.endpoint
	}
	var done func() error
	if flags.nbd != "" {
		opts.Acts, done, err = flags.reads(cmd.Context())
	} else {
		opts.Acts, done, err = flags.requests(cmd.Context())
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	report, err := flags.run(cmd.Context(), opts)
	if err != nil {
		return err
	}
	if flags.output == outputJSON {
		enc := json.NewEncoder(cmd.OutOrStdout())
		enc.SetIndent("", "  ")
		err = enc.Encode(report)
	} else {
		err = report.Table(cmd.OutOrStdout())
	}
	if err != nil {
		return err
	}
	if report.Errors > 0 {
		return fmt.Errorf("%d of %d requests failed: %s", report.Errors, report.Requests, report.FirstError)
	}
	return nil
}

// run loads, while images are made if that is asked for.
func (f loadFlags) run(ctx context.Context, opts load.Options) (report load.Report, err error) {
	if f.meanwhile != "" {
		client, dialErr := remote.Dial(f.remote)
		if dialErr != nil {
			return load.Report{}, dialErr
		}
		importing, stop := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() {
			_, err := importAgain(importing, client, f.meanwhile)
			ended <- errors.Join(err, client.Close())
		}()
		defer func() {
			stop()
			err = errors.Join(err, <-ended)
		}()
	}
	report, err = load.Run(ctx, opts)
	if err != nil {
		return load.Report{}, errUsage{err}
	}
	return report, nil
}

// requests are the acts of the mix; done ends the connection.
func (f loadFlags) requests(ctx context.Context) (acts []load.Act, done func() error, err error) {
	if f.image == "" && f.create == "" {
		return nil, nil, errUsage{errors.New("which image? name it with --image, or a file to make it of with --create")}
	}
	client, err := remote.Dial(f.remote)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, client.Close())
		}
	}()
	if f.create != "" {
		pooled := f.mix["disk"] != "" && f.mix["disk"] != "0"
		if f.image, err = createImage(ctx, client, "", f.create, pooled); err != nil {
			return nil, nil, err
		}
	}
	id, size, err := f.find(ctx, client)
	if err != nil {
		return nil, nil, err
	}
	acts = load.API(load.Target{Conn: client.Conn(), Folder: client.Folder(), Image: id, Zone: f.zone, DiskSize: size})
	if err := weigh(acts, f.mix); err != nil {
		return nil, nil, errUsage{err}
	}
	return acts, client.Close, nil
}

// find gives the image's id, and the size of a disk of it.
func (f loadFlags) find(ctx context.Context, client *remote.Client) (string, int64, error) {
	list, err := client.Images.List(ctx, &compute.ListImagesRequest{FolderId: client.Folder(), Filter: fmt.Sprintf("name = %q", f.image)})
	if err != nil {
		return "", 0, err
	}
	for _, img := range list.Images {
		return img.Id, img.MinDiskSize, nil
	}
	img, err := client.Images.Get(ctx, &compute.GetImageRequest{ImageId: f.image})
	if err != nil {
		return "", 0, fmt.Errorf("find image %s: %w", f.image, err)
	}
	return img.Id, img.MinDiskSize, nil
}

func weigh(acts []load.Act, mix map[string]string) error {
	left := len(mix)
	for i := range acts {
		text, ok := mix[acts[i].Name]
		if !ok {
			continue
		}
		left--
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > 1000 {
			return fmt.Errorf("mix %s=%s: want a number up to 1000", acts[i].Name, text)
		}
		acts[i].Weight = n
	}
	if left > 0 {
		var names []string
		for _, a := range acts {
			names = append(names, a.Name)
		}
		return fmt.Errorf("mix: an act that is none of %s", strings.Join(names, ", "))
	}
	return nil
}

// reads are those of an NBD export.
func (f loadFlags) reads(ctx context.Context) ([]load.Act, func() error, error) {
	network, address, name, err := parseNBD(f.nbd)
	if err != nil {
		return nil, nil, errUsage{err}
	}
	if f.block == 0 {
		return nil, nil, errUsage{errors.New("--block 0: want a byte at least")}
	}
	export, err := load.OpenExport(ctx, network, address, name, int(f.block))
	if err != nil {
		return nil, nil, err
	}
	return []load.Act{{Name: "read", Weight: 1, Do: export.Read}}, export.Close, nil
}

// nbdPort is that of a URI without one.
const nbdPort = "10809"

func parseNBD(uri string) (network, address, name string, err error) {
	u, err := url.Parse(uri)
	if err != nil {
		return "", "", "", err
	}
	name = strings.TrimPrefix(u.Path, "/")
	switch u.Scheme {
	case "nbd+unix":
		return "unix", u.Query().Get("socket"), name, nil
	case "nbd":
		port := u.Port()
		if port == "" {
			port = nbdPort
		}
		return "tcp", u.Hostname() + ":" + port, name, nil
	default:
		return "", "", "", fmt.Errorf("NBD URI %s: want nbd or nbd+unix", uri)
	}
}
