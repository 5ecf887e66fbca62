package suite

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"

	"github.com/blockmill/blockmill/bench"
	"github.com/blockmill/blockmill/bench/result"
)

const (
	// requestTime is the mean time between two answers: the reciprocal of
	// requests a second.
	requestTime result.Metric = "request_seconds"

	nbdImage  = "$FIXTURE/disk.raw"
	nbdSocket = "$SCRATCH/nbd.sock"
	nbdSize   = 1 << 30
	nbdURI    = "nbd+unix:///?socket=" + nbdSocket

	qemuNBD   = "qemu-nbd"
	nbdkit    = "nbdkit file"
	nbdRandom = "4 KiB random, 32 deep"
	nbdStream = "1 MiB sequential, 4 deep"
	nbdSingle = "4 KiB random, 1 deep"
	nbdWrite  = "4 KiB random writes, 32 deep"
)

// nbdCases ask how quickly a raw file is served over NBD, by its page cache.
// The client is fio, which takes about as much of the machine as the servers.
func nbdCases() []bench.Case {
	loads := map[string][]string{
		nbdSingle: {"--rw=randread", "--bs=4k", "--iodepth=1"},
		nbdRandom: {"--rw=randread", "--bs=4k", "--iodepth=32"},
		nbdStream: {"--rw=read", "--bs=1M", "--iodepth=4"},
		nbdWrite:  {"--rw=randwrite", "--bs=4k", "--iodepth=32"},
	}
	servers := map[string][]string{
		bench.Ours: {"serve", "-f", "raw", "--writable", "--socket", nbdSocket, nbdImage},
		qemuNBD:    {"-f", "raw", "--cache=writeback", "-t", "-e", "8", "-k", nbdSocket, nbdImage},
		nbdkit:     {"-f", "-U", nbdSocket, "file", nbdImage},
	}
	programs := map[string]string{bench.Ours: bench.Ours, qemuNBD: "qemu-nbd", nbdkit: "nbdkit"}
	c := bench.Case{
		Name: "nbd/raw", Title: "A raw file over NBD",
		Shows: "fio's nbd engine, over one connection of a Unix socket, on 1 GiB without holes that the page cache has. Shown is " +
			"the time from one answer to the next.",
		Metric: requestTime, Caches: []result.Cache{result.Warm}, Steps: []string{nbdSingle, nbdRandom, nbdStream, nbdWrite},
		Prepare: func(_ context.Context, env *bench.Env) error { return randomFile(env.Path(nbdImage), nbdSize) },
		Goals: []bench.Goal{
			{Text: "4 KiB random reads, 32 deep, against qemu-nbd", Step: nbdRandom, Metric: requestTime, Versus: []string{qemuNBD}, AtLeast: 1.5},
			{Text: "4 KiB random reads, 32 deep, against nbdkit's file plugin", Step: nbdRandom, Metric: requestTime, Versus: []string{nbdkit}, AtLeast: 1},
			{Text: "1 MiB sequential reads, against both", Step: nbdStream, Metric: requestTime, Versus: []string{qemuNBD, nbdkit}, AtLeast: 1},
		},
	}
	for _, name := range []string{bench.Ours, qemuNBD, nbdkit} {
		contender := bench.Contender{Name: name, Program: programs[name], Steps: make(map[string]bench.Command)}
		for step, load := range loads {
			contender.Steps[step] = bench.Command{
				Args: servers[name], Reads: []string{nbdImage},
				Compute: func(ctx context.Context, env *bench.Env) (map[result.Metric]float64, error) {
					return serveLoad(ctx, env, programs[name], servers[name], load)
				},
			}
		}
		c.Contenders = append(c.Contenders, contender)
	}
	return []bench.Case{c}
}

// serveLoad measures a server under the load of fio.
func serveLoad(ctx context.Context, env *bench.Env, program string, server, load []string) (values map[result.Metric]float64, err error) {
	if err := readAll(env.Path(nbdImage)); err != nil {
		return nil, err
	}
	stop, err := env.Serve(ctx, func() bool { return answers(env.Path(nbdSocket)) }, program, paths(env, server)...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop(), os.RemoveAll(env.Path(nbdSocket))) }()
	args := slices.Concat([]string{
		"--name=load", "--ioengine=nbd", "--uri=" + env.Path(nbdURI), "--time_based", "--runtime=3", "--output-format=json",
	}, load)
	out, err := env.Output(ctx, "fio", args...)
	if err != nil {
		return nil, err
	}
	return fioValues(out)
}

// fioValues are those of fio's one job.
func fioValues(out []byte) (map[result.Metric]float64, error) {
	type direction struct {
		IOPS    float64 `json:"iops"`
		Latency struct {
			Percentile map[string]float64 `json:"percentile"`
		} `json:"clat_ns"`
	}
	var report struct {
		Jobs []struct {
			Error       int
			Read, Write direction
		}
	}
	if i := slices.Index(out, '{'); i > 0 { // behind what the engine says
		out = out[i:]
	}
	if err := json.Unmarshal(out, &report); err != nil {
		return nil, fmt.Errorf("read fio's report: %w", err)
	}
	if len(report.Jobs) != 1 || report.Jobs[0].Error != 0 {
		return nil, errors.New("fio's job failed")
	}
	d := report.Jobs[0].Read
	if d.IOPS == 0 {
		d = report.Jobs[0].Write
	}
	if d.IOPS == 0 {
		return nil, errors.New("fio did nothing")
	}
	return map[result.Metric]float64{
		requestTime: 1 / d.IOPS, "requests_per_second": d.IOPS, answerP99: d.Latency.Percentile["99.000000"] / 1e9,
	}, nil
}

func paths(env *bench.Env, templates []string) []string {
	out := make([]string, len(templates))
	for i, t := range templates {
		out[i] = env.Path(t)
	}
	return out
}

// answers says whether someone listens on a socket.
func answers(path string) bool {
	c, err := net.Dial("unix", path)
	if err != nil {
		return false
	}
	return c.Close() == nil
}

// readAll brings a file into the page cache.
func readAll(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(io.Discard, f)
	return err
}

// randomFile makes a file of bytes that nothing can leave out.
func randomFile(path string, size int64) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriterSize(f, 1<<20)
	if _, err := io.CopyN(w, rand.NewChaCha8([32]byte{7}), size); err != nil {
		return err
	}
	return errors.Join(w.Flush(), f.Sync())
}
