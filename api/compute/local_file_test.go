package compute_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	computepb "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/blockmill/blockmill/api/auth"
	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/pool"
)

// The caller of files, and somebody else. Neither is known to the system.
const (
	callerUID, callerGID = 54321, 54322
	otherUID, otherGID   = 54323, 54324
)

// TestCreateImageFromFile asks a daemon that may read everything for files that
// its caller may read, and for others.
func TestCreateImageFromFile(t *testing.T) {
	if os.Geteuid() != 0 && os.Getenv("CI") != "true" {
		t.Skip("files of several owners take root")
	}
	w := newWorld(t)
	dir := t.TempDir()
	// The one that all of a test's directories are in is for the user alone.
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	file := func(name string, uid, gid int, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, make([]byte, 1<<20), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(path, uid, gid); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	private := file("private/file", otherUID, otherGID, 0o644)
	if err := os.Chmod(filepath.Dir(private), 0o700); err != nil {
		t.Fatal(err)
	}
	secret := file("secret", otherUID, otherGID, 0o600)
	open := file("open", otherUID, otherGID, 0o644)
	link := func(name, target string) string {
		path := filepath.Join(dir, name)
		if err := os.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o644); err != nil {
		t.Fatal(err)
	}
	const forbidden, kind = "may not read", "neither a file nor a block device"
	for name, c := range map[string]struct{ path, says string }{
		"everybody's":           {open, ""},
		"own":                   {file("own", callerUID, otherGID, 0o400), ""},
		"group's":               {file("group", otherUID, callerGID, 0o040), ""},
		"link":                  {link("link", open), ""},
		"link to a directory":   {filepath.Join(link("up", dir), "open"), ""},
		"secret":                {secret, forbidden},
		"link to a secret":      {link("leak", secret), forbidden},
		"in a private place":    {private, forbidden},
		"own without right":     {file("shut", callerUID, callerGID, 0o044), forbidden},
		"group's without right": {file("shut-group", otherUID, callerGID, 0o604), forbidden},
		"not there":             {filepath.Join(dir, "nowhere"), forbidden},
		"relative":              {"open", "absolute"},
		"directory":             {dir, kind},
		"pipe":                  {pipe, kind},
		"characters":            {"/dev/zero", kind},
	} {
		t.Run(name, func(t *testing.T) {
			caller := auth.Subject{
				ID: "caller", Type: auth.UserAccount, Folders: map[pool.FolderID]auth.Grant{"f": {Role: auth.Editor}},
				UID: callerUID, GID: callerGID, Local: true,
			}
			op, err := w.services.CreateImageFromFile(auth.NewContext(t.Context(), caller), c.path, &computepb.CreateImageRequest{FolderId: "f"})
			if c.says == "" {
				if img := response[*computepb.Image](w, op, err); img.GetSize() != 1<<20 {
					t.Errorf("image %v", img)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want an error that says %q", err, c.says)
			}
		})
	}
	// Who came by the network has no files here, whatever the numbers say.
	far := auth.Subject{ID: "far", Folders: map[pool.FolderID]auth.Grant{"f": {Role: auth.Admin}}}
	_, err := w.services.CreateImageFromFile(auth.NewContext(t.Context(), far), open, &computepb.CreateImageRequest{FolderId: "f"})
	if grpcstatus.Code(err) != codes.PermissionDenied {
		t.Errorf("a caller from elsewhere: %v", err)
	}
}

// A file that its caller may not read, or that is none, is not opened: to open one
// can do things, as with a pipe that somebody waits at, or a watchdog.
func TestRefusedFileIsNotOpened(t *testing.T) {
	w := newWorld(t)
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	var opened atomic.Bool
	var writer sync.WaitGroup
	writer.Go(func() {
		f, err := os.OpenFile(pipe, os.O_WRONLY, 0) // waits for a reader
		opened.Store(true)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Error(err)
		}
	})
	caller := auth.Subject{
		ID: "caller", Type: auth.UserAccount, Folders: map[pool.FolderID]auth.Grant{"f": {Role: auth.Editor}},
		UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), Local: true,
	}
	for range 100 {
		_, err := w.services.CreateImageFromFile(auth.NewContext(t.Context(), caller), pipe, &computepb.CreateImageRequest{FolderId: "f"})
		if err == nil || !strings.Contains(err.Error(), "neither a file nor a block device") {
			t.Fatal(err)
		}
	}
	if opened.Load() {
		t.Error("the pipe was opened")
	}
	r, err := os.OpenFile(pipe, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	writer.Wait()
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// Holes of a file count as nothing to be read.
func TestSparseFile(t *testing.T) {
	w := newWorld(t)
	path := filepath.Join(t.TempDir(), "file")
	const size, data = 64 << 20, 1 << 20
	if err := os.WriteFile(path, bytes.Repeat([]byte("content!"), data/8), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
	caller := auth.Subject{
		ID: "caller", Type: auth.UserAccount, Folders: map[pool.FolderID]auth.Grant{"f": {Role: auth.Editor}},
		UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), Local: true,
	}
	op, err := w.services.CreateImageFromFile(auth.NewContext(t.Context(), caller), path, &computepb.CreateImageRequest{FolderId: "f"})
	if img := response[*computepb.Image](w, op, err); img.GetMinDiskSize() != size {
		t.Errorf("image %v", img)
	}
	for p, err := range w.operations.Watch(t.Context(), op.GetId()) {
		if err != nil || p.Done != data || p.Total != data {
			t.Errorf("%d bytes of %d were read of a file with %d, %v", p.Done, p.Total, data, err)
		}
	}
}

// touchVolume changes a file's time when content of it comes to be stored.
type touchVolume struct {
	blockio.Volume
	path string
}

func (v touchVolume) Create(ctx context.Context, name string) (blockio.Writer, error) {
	if strings.HasPrefix(name, "segments/") {
		later := time.Now().Add(time.Hour)
		if err := os.Chtimes(v.path, later, later); err != nil {
			return nil, err
		}
	}
	return v.Volume.Create(ctx, name)
}

// A file that changes while it is read makes no image, not even for a moment.
func TestChangingFile(t *testing.T) {
	w := newWorld(t)
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, bytes.Repeat([]byte("content"), 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	w.stop()
	w.volume = touchVolume{w.volume, path}
	w.start()
	caller := auth.Subject{
		ID: "caller", Type: auth.UserAccount, Folders: map[pool.FolderID]auth.Grant{"f": {Role: auth.Editor}},
		UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), Local: true,
	}
	op, err := w.services.CreateImageFromFile(auth.NewContext(t.Context(), caller), path, &computepb.CreateImageRequest{FolderId: "f"})
	if err != nil {
		t.Fatal(err)
	}
	m := new(computepb.CreateImageMetadata)
	if err := op.GetMetadata().UnmarshalTo(m); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	var watcher sync.WaitGroup
	watcher.Go(func() {
		for {
			img, err := w.node.Image(pool.ImageID(m.GetImageId()))
			select {
			case <-ended:
				return
			default:
			}
			if err == nil && img.Status != pool.Creating {
				t.Errorf("the image of a file that changes is %v", img.Status)
				return
			}
		}
	})
	message := w.fails(codes.InvalidArgument, op, nil)
	close(ended)
	watcher.Wait()
	if !strings.Contains(message, "changed") {
		t.Error(message)
	}
}
