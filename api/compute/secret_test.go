package compute_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	computepb "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
)

// noSecretOnDisk says whether a secret is in a file of the operations.
func (w *world) noSecretOnDisk(when string) {
	w.t.Helper()
	err := filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		p, err := os.ReadFile(path)
		if bytes.Contains(p, []byte(secret)) {
			w.t.Errorf("%s: a secret is in %s", when, path)
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// TestSecretsAreNotOnDisk cancels the import of a signed address, and has an export
// with keys fail: both are on disk meanwhile, sealed, and gone afterwards.
func TestSecretsAreNotOnDisk(t *testing.T) {
	w, s := newWorld(t), newWeb(t)
	img := w.image(s, "f", "image")
	uri := s.put("/held", noise(9<<20))
	hold := make(chan struct{})
	defer close(hold)
	s.mu.Lock()
	s.hold["/held"] = hold
	s.mu.Unlock()
	held, err := w.images.Create(w.as("alice"), &computepb.CreateImageRequest{FolderId: "f", Source: &computepb.CreateImageRequest_Uri{Uri: uri}})
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []struct {
		key, secret string
	}{{"key", secret}, {secret, "x"}} {
		op, err := w.images.Export(w.as("alice"), &computepb.ExportImageRequest{
			ImageId:     img.GetId(),
			Destination: &computepb.ExportDestination{Endpoint: s.URL, Bucket: "bucket"},
			Credentials: &computepb.ExportS3Credentials{AccessKeyId: at.key, SecretAccessKey: at.secret},
		})
		if done := w.wait(op, err); done.GetError() == nil {
			t.Errorf("an export to nowhere: %v", done)
		}
	}
	keys := func() int {
		entries, err := os.ReadDir(filepath.Join(w.dir, "keys"))
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	if n := keys(); n != 1 {
		t.Errorf("%d operations have keys, want that of the import", n)
	}
	w.noSecretOnDisk("while an import is at work")
	w.restart()
	w.noSecretOnDisk("after a restart")
	if _, err := w.operations.Cancel(t.Context(), held.GetId()); err != nil {
		t.Fatal(err)
	}
	w.wait(held, nil)
	if n := keys(); n != 0 {
		t.Errorf("%d operations have keys after their end", n)
	}
	w.noSecretOnDisk("after the end")
}
