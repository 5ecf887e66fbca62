package compute_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	computepb "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/blockmill/blockmill/api/auth"
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
				ID: "caller", Type: auth.UserAccount, Folders: map[pool.FolderID]auth.Role{"f": auth.Editor},
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
	far := auth.Subject{ID: "far", Folders: map[pool.FolderID]auth.Role{"f": auth.Admin}}
	_, err := w.services.CreateImageFromFile(auth.NewContext(t.Context(), far), open, &computepb.CreateImageRequest{FolderId: "f"})
	if grpcstatus.Code(err) != codes.PermissionDenied {
		t.Errorf("a caller from elsewhere: %v", err)
	}
}
