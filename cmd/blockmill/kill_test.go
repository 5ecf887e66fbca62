package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// killSecondsEnv is how long TestKill goes on, in seconds.
const killSecondsEnv = "BLOCKMILL_KILL_SECONDS"

// killDisks is how many different disks there are to import.
const killDisks = 4

// TestKill kills the program at random moments of imports, removals, garbage
// collections and repairs. Whatever it had acknowledged must hold afterwards:
// imported images are there with their bytes, removed ones are not, and the
// store is sound; over shards, also while as many of them are away as may be.
func TestKill(t *testing.T) {
	limit := 8 * time.Second
	if text := os.Getenv(killSecondsEnv); text != "" {
		var err error
		if limit, err = time.ParseDuration(text + "s"); err != nil {
			t.Fatal(err)
		}
	} else if testing.Short() {
		limit = 2 * time.Second
	}
	for _, c := range []struct {
		data, parity int
		full         bool
	}{{1, 0, false}, {2, 1, false}, {4, 2, false}, {4, 2, true}} {
		t.Run(fmt.Sprintf("%d+%d full %t", c.data, c.parity, c.full), func(t *testing.T) {
			k := newKiller(t, c.data, c.parity, c.full)
			// On a busy machine it may take longer until a strike is in time.
			begin := time.Now()
			for time.Since(begin) < limit/4 || k.killed == 0 && k.strikes < 100 {
				k.fill(k.random.IntN(2) == 0)
				k.strike()
				k.checkNames()
				if k.strikes%8 == 0 {
					k.checkBytes()
				}
			}
			k.checkBytes()
			k.fill(false)
			k.checkWithout()
			t.Logf("%d strikes, %d in time, %d refused, %d images at the end", k.strikes, k.killed, k.refused, len(k.images))
			if k.killed == 0 {
				t.Error("no process was killed before its end: nothing was tested")
			}
		})
	}
}

// killer knows what a store that is being struck must hold.
type killer struct {
	t       *testing.T
	exe     string
	dir     string
	store   string
	random  *rand.Rand
	shards  []string // none in a store of its own directory
	parity  int
	small   string // a file system with one shard that is full at times, or empty
	digests [killDisks]string

	images map[string]string // acknowledged: name to digest
	// pending is the image that a killed process was adding or removing: it
	// may be there or not. Empty for none.
	pending       string
	pendingDigest string

	strikes, killed, refused, named int
	// usual is about how long each kind of command takes.
	usual map[string]time.Duration
}

func newKiller(t *testing.T, data, parity int, full bool) *killer {
	t.Helper()
	if full && os.Geteuid() != 0 && os.Getenv("CI") != "true" {
		t.Skip("mounting takes root")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	k := &killer{
		t: t, exe: exe, dir: t.TempDir(), random: rand.New(rand.NewPCG(seed, 0)),
		images: make(map[string]string), usual: make(map[string]time.Duration),
	}
	k.store = filepath.Join(k.dir, "S")
	args := []string{"store", "init", "--store", k.store}
	if k.parity = parity; parity > 0 {
		args = append(args, "--allow-shared-device", "--data", fmt.Sprint(data), "--parity", fmt.Sprint(parity))
		for i := range data + parity {
			k.shards = append(k.shards, filepath.Join(k.dir, fmt.Sprintf("shard%d", i)))
			if full && i == 2 {
				k.small = filepath.Join(k.dir, "small")
				mountSmall(t, k.small, "size=24m")
				k.shards[i] = filepath.Join(k.small, "shard2")
			}
			args = append(args, "--shard", k.shards[i])
		}
	}
	k.must(args...)
	for i := range k.digests {
		if err := writeDisk(k.disk(i), uint64(i)); err != nil {
			t.Fatal(err)
		}
		k.digests[i] = strings.TrimSpace(k.must("digest", "-f", "raw", k.disk(i)))
	}
	return k
}

// mountSmall mounts a small file system for the time of the test.
func mountSmall(t *testing.T, dir, options string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// fill takes all that is free of the small file system, or gives it back.
func (k *killer) fill(full bool) {
	k.t.Helper()
	if k.small == "" {
		return
	}
	name := filepath.Join(k.small, "rest")
	if !full {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			k.t.Fatal(err)
		}
		return
	}
	if err := os.WriteFile(name, make([]byte, 25<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		k.t.Fatalf("fill the small file system: %v", err)
	}
}

func (k *killer) disk(i int) string { return filepath.Join(k.dir, fmt.Sprintf("disk%d", i)) }

// command is the program: the test binary under its name.
func (k *killer) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, k.exe, args...) // killed with SIGKILL
	cmd.Args[0] = "blockmill"
	return cmd
}

// must runs a command to its end.
func (k *killer) must(args ...string) string {
	k.t.Helper()
	cmd := k.command(k.t.Context(), args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		k.t.Fatalf("blockmill %s: %v: %s%s", strings.Join(args, " "), err, stdout.String(), stderr.String())
	}
	return stdout.String()
}

// strike begins a command and kills it after a time that is as likely before
// as after its end. It says whether the command had acknowledged.
func (k *killer) strike() {
	k.strikes++
	names := slices.Sorted(func(yield func(string) bool) {
		for name := range k.images {
			if !yield(name) {
				return
			}
		}
	})
	switch n := k.random.IntN(10); {
	case n < 6 || len(names) == 0:
		disk := k.random.IntN(killDisks)
		k.named++
		name := fmt.Sprintf("image-%d", k.named)
		if k.run("store", "import", "--store", k.store, "-f", "raw", "--name", name, k.disk(disk)) {
			k.images[name] = k.digests[disk]
		} else {
			k.pending, k.pendingDigest = name, k.digests[disk]
		}
	case n < 8:
		name := names[k.random.IntN(len(names))]
		digest := k.images[name]
		delete(k.images, name)
		if !k.run("store", "rm", "--store", k.store, name) {
			k.pending, k.pendingDigest = name, digest
		}
	case n < 9 || k.parity == 0:
		k.run("store", "gc", "--store", k.store)
	default:
		k.run("store", "scrub", "--store", k.store, "--repair")
	}
}

// run runs a store's command, perhaps not to its end, and says whether it
// acknowledged.
func (k *killer) run(args ...string) bool {
	usual := k.usual[args[1]]
	if usual == 0 {
		usual = time.Second
	}
	ctx, cancel := context.WithTimeout(k.t.Context(), time.Duration(k.random.Int64N(int64(2*usual))))
	defer cancel()
	cmd := k.command(ctx, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	start := time.Now()
	err := cmd.Run()
	if err == nil {
		k.usual[args[1]] = (usual + time.Since(start)) / 2
		return true
	}
	if ctx.Err() == nil && k.small != "" && strings.Contains(stderr.String(), "no space left on device") {
		k.refused++
		return false
	}
	if ctx.Err() == nil {
		k.t.Fatalf("blockmill %s: %v: %s", strings.Join(args, " "), err, stderr.String())
	}
	k.killed++
	return false
}

// checkNames opens the store again: it must list exactly what was
// acknowledged, give or take what was pending, which is settled by that.
func (k *killer) checkNames() {
	k.t.Helper()
	var listed []struct{ Name, Digest string }
	if err := json.Unmarshal([]byte(k.must("store", "ls", "-o", "json", "--store", k.store)), &listed); err != nil {
		k.t.Fatal(err)
	}
	found := make(map[string]string)
	for _, img := range listed {
		found[img.Name] = img.Digest
	}
	if _, ok := found[k.pending]; ok && k.pending != "" {
		k.images[k.pending] = k.pendingDigest
	}
	k.pending = ""
	for name, digest := range k.images {
		if found[name] != digest {
			k.t.Fatalf("strike %d: image %s has digest %q, want %s", k.strikes, name, found[name], digest)
		}
	}
	if len(found) != len(k.images) {
		k.t.Fatalf("strike %d: %d images are listed, want %d", k.strikes, len(found), len(k.images))
	}
}

// checkWithout looks again while as many shards are away as may be. Before that,
// what a crash left half written is cleared: without all shards, nobody can tell
// it from what was lost.
func (k *killer) checkWithout() {
	k.t.Helper()
	if k.parity == 0 {
		return
	}
	k.must("store", "heal", "--store", k.store)
	away := k.random.Perm(len(k.shards))[:k.parity]
	for _, i := range away {
		if err := os.Rename(k.shards[i], k.shards[i]+".away"); err != nil {
			k.t.Fatal(err)
		}
	}
	k.checkNames()
	k.checkBytes()
	for _, i := range away {
		if err := os.Rename(k.shards[i]+".away", k.shards[i]); err != nil {
			k.t.Fatal(err)
		}
	}
	k.must("store", "scrub", "--store", k.store)
}

// checkBytes reads everything.
func (k *killer) checkBytes() {
	k.t.Helper()
	k.must("store", "check", "--store", k.store)
	k.must("store", "verify", "--store", k.store)
	out := filepath.Join(k.dir, "out")
	for name, digest := range k.images {
		k.must("store", "export", "--store", k.store, name, out)
		if got := strings.TrimSpace(k.must("digest", "-f", "raw", out)); got != digest {
			k.t.Fatalf("strike %d: image %s gave bytes of digest %s, want %s", k.strikes, name, got, digest)
		}
		break // the rest were verified by the store itself
	}
}
