package pool_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/pool"
	"github.com/blockmill/blockmill/pool/provision"
	"github.com/blockmill/blockmill/pool/ready"
)

const killDirEnv = "BLOCKMILL_KILL_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(killDirEnv); dir != "" {
		if err := killChild(context.Background(), dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// killNode opens the node of a directory, made when it is empty.
func killNode(ctx context.Context, dir string) (*cas.Store, *pool.Node, error) {
	store := filepath.Join(dir, "store")
	if err := os.MkdirAll(store, 0o700); err != nil {
		return nil, nil, err
	}
	v, err := blockio.NewDirVolume(store, blockio.DirVolumeOptions{})
	if err == nil {
		err = v.StartJournal(0) // which the next open ends
	}
	if err != nil {
		return nil, nil, err
	}
	opts := cas.Options{Volume: v}
	if err := cas.Init(ctx, opts); err != nil && !errors.Is(err, cas.ErrStoreExists) {
		return nil, nil, err
	}
	s, err := cas.Open(ctx, opts)
	if err != nil {
		return nil, nil, err
	}
	n, err := pool.Open(ctx, pool.Options{Store: s, Disks: []provision.Options{{Path: filepath.Join(dir, "disks"), Reserve: -1}}})
	return s, n, err
}

// killChild makes and deletes disks until it is killed. It says what it is about
// to do and what is done: "+ id" and "- id" before, "created id" and "deleted
// id" after.
func killChild(ctx context.Context, dir string) error {
	_, n, err := killNode(ctx, dir)
	if err != nil {
		return err
	}
	images := []pool.ImageID{imageOf(n, true), imageOf(n, false)}
	if _, err := n.SetPool(ctx, images[0], ready.Settings{Capacity: 4}); err != nil {
		return err
	}
	errs := make(chan error)
	for range 3 {
		go func() { errs <- killLoop(ctx, n, images) }()
	}
	return <-errs
}

func killLoop(ctx context.Context, n *pool.Node, images []pool.ImageID) error {
	var mine []pool.DiskID
	for {
		if len(mine) < 4 && rand.IntN(3) > 0 {
			d, err := n.ReserveDisk(diskOf("", images[rand.IntN(2)]))
			if err != nil {
				return err
			}
			fmt.Println("+", d.ID)
			if d, err = n.MakeDisk(ctx, d.ID, nil); err != nil {
				return err
			}
			fmt.Println("created", d.ID)
			mine = append(mine, d.ID)
		} else if len(mine) > 0 {
			fmt.Println("-", mine[0])
			if err := n.DeleteDisk(ctx, mine[0]); err != nil {
				return err
			}
			fmt.Println("deleted", mine[0])
			mine = mine[1:]
		}
	}
}

// A process that is killed at any moment neither loses a disk that it has
// acknowledged, nor gives a file to two, nor leaves one to nobody.
// BLOCKMILL_KILL_SECONDS says for how long to kill.
func TestKill(t *testing.T) {
	seconds := 3
	if s := os.Getenv("BLOCKMILL_KILL_SECONDS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		seconds = n
	}
	t.Run("copies", func(t *testing.T) { testKill(t, t.TempDir(), seconds) })
	t.Run("clones", func(t *testing.T) { testKill(t, cloningDir(t), seconds) })
}

func testKill(t *testing.T, dir string, seconds int) {
	s, n, err := killNode(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	img := named("image")
	img.Pooled = true
	makeImage(t, n, img, "guest")
	makeImage(t, n, named("plain"), "other guest")
	if err := errors.Join(n.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	disks := map[string]string{} // by id: what was said last
	rounds, said := 0, 0
	for end := time.Now().Add(time.Duration(seconds) * time.Second); time.Now().Before(end); rounds++ {
		said += killOnce(t, dir, disks)
		checkKilled(t, dir, disks)
	}
	t.Logf("killed %d times, %d disks made or deleted", rounds, said)
}

// killOnce runs a child, kills it after a while, and notes what it said.
func killOnce(t *testing.T, dir string, disks map[string]string) (said int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), killDirEnv+"="+dir)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	first := make(chan struct{}) // closed at its first word, or at its end without one
	wg.Go(func() {
		begun := sync.OnceFunc(func() { close(first) })
		defer begun()
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if what, id, ok := strings.Cut(lines.Text(), " "); ok {
				disks[id] = what
				said++
				begun()
			}
		}
	})
	// It is killed once it works: after its first word, and a while.
	late := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
	<-first
	if late.Stop() {
		time.Sleep(time.Duration(rand.IntN(250)) * time.Millisecond)
	}
	killErr := cmd.Process.Kill()
	wg.Wait()
	switch err := cmd.Wait(); {
	case said == 0:
		t.Fatalf("the child said nothing: %v, %v: %s", killErr, err, stderr.String())
	case killErr != nil || err == nil || stderr.Len() > 0:
		t.Fatalf("the child ended by itself: %v: %s", err, stderr.String())
	}
	return said
}

// checkKilled opens what a killed process left, and holds it against what it
// said.
func checkKilled(t *testing.T, dir string, disks map[string]string) {
	t.Helper()
	s, n, err := killNode(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(n.Close(), s.Close()); err != nil {
			t.Error(err)
		}
	}()
	files := map[pool.BackingID]pool.DiskID{}
	for d := range n.Disks(pool.Query{Folder: "f"}) {
		if said := disks[string(d.ID)]; said == "" || said == "deleted" {
			t.Errorf("disk %s is there, though the process said %q", d.ID, said)
		}
		if other, twice := files[d.Backing]; twice {
			t.Errorf("disks %s and %s have one file", d.ID, other)
		}
		files[d.Backing] = d.ID
		if _, err := n.AttachDisk(d.ID); err != nil {
			t.Error(err)
		}
		disks[string(d.ID)] = "created" // from now on
	}
	for id, said := range disks {
		_, err := n.Disk(pool.DiskID(id))
		if said == "created" && err != nil {
			t.Errorf("disk %s was acknowledged and is lost: %v", id, err)
		}
		if err != nil {
			delete(disks, id)
			continue
		}
	}
	if len(files) > 20 {
		for _, id := range files {
			if err := n.DeleteDisk(t.Context(), id); err != nil {
				t.Error(err)
			}
			delete(disks, string(id))
		}
	}
	ready := waitReady(t, n, imageOf(n, true))
	owned := 0
	for range n.Disks(pool.Query{Folder: "f"}) {
		owned++
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(filepath.Join(dir, "disks", "disks"))
	if err != nil || len(left) != owned+ready.Ready {
		t.Errorf("%d files, %v; want those of %d disks and %d ready ones", len(left), err, owned, ready.Ready)
	}
}

// imageOf gives the image that has a pool, or the other.
func imageOf(n *pool.Node, pooled bool) (id pool.ImageID) {
	for img := range n.Images(pool.Query{Folder: "f"}) {
		if img.Pooled == pooled {
			id = img.ID
		}
	}
	return id
}
