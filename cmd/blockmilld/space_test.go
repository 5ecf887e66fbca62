package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/blockmill/blockmill/blockio/storedir"
)

// Where there is no room, what needs none goes on.
func TestRefuse(t *testing.T) {
	s := &space{dirs: []string{t.TempDir()}, reserve: 1000 << 40} // no machine has so much
	for method, goesOn := range map[string]bool{
		"/yandex.cloud.compute.v1.ImageService/Create":    false,
		"/yandex.cloud.compute.v1.ImageService/Delete":    true,
		"/yandex.cloud.operation.OperationService/Cancel": true,
		"/blockmill.v1.DiskService/Attach":                true,
		"/blockmill.v1.PoolService/Set":                   false,
		"/blockmill.v1.NodeService/Scrub":                 true,
		"/blockmill.v1.NodeService/CollectGarbage":        true,
	} {
		if err := s.refuse(method); (err == nil) != goesOn {
			t.Errorf("%s: %v", method, err)
		}
	}
}

// TestSpoolLeavesTheReserve imports from a server that knows no ranges and no end,
// on a small file system: the import fails before the reserve is touched, and the
// daemon goes on.
func TestSpoolLeavesTheReserve(t *testing.T) {
	if os.Geteuid() != 0 && os.Getenv("CI") != "true" {
		t.Skip("mounting takes root")
	}
	const reserve = 64 * mib
	p := newProcess(t)
	data := filepath.Join(p.dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", data, "tmpfs", 0, "size=160m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(data, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	p.start("BLOCKMILL_STORE_RESERVE=64M")
	var touched atomic.Bool
	source := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for piece := make([]byte, mib); ; {
			if _, err := w.Write(piece); err != nil {
				return
			}
			// Other files grow too, by a little.
			if storedir.Room(data, 0, reserve-4*mib) != nil {
				touched.Store(true)
			}
		}
	}))
	t.Cleanup(source.Close)
	op := p.wait(p.must("POST", "/compute/v1/images", object{"folderId": "default", "name": "endless", "uri": source.URL}))
	if e, _ := op["error"].(object); e == nil || e["code"] != float64(8) {
		t.Errorf("%v", op)
	}
	if touched.Load() {
		t.Error("the reserve was touched")
	}
	p.do("POST", "/compute/v1/images", object{"folderId": "default", "name": "small", "uri": offer(t, disk(mib, 1)).URL})
}
