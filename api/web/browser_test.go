package web_test

import (
	"context"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/blockmill/blockmill/api/web"
)

// noon is the time of all pages here.
var noon = time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)

func emptyStatus() web.Status {
	return web.Status{
		Node:       web.Node{Name: "node-7", Version: "1.2.3", StartedAt: noon.Add(-time.Minute), Now: noon},
		Redundancy: web.Redundancy{Data: 1, Shards: []web.Shard{{State: "ok", OK: true, SizeBytes: 1 << 40, FreeBytes: 1 << 39}}},
	}
}

func fullStatus() web.Status {
	scrubbed := noon.Add(-26 * time.Hour)
	return web.Status{
		Node: web.Node{
			Name: "node-7", Version: "1.2.3", StartedAt: noon.Add(-75 * time.Hour), Now: noon,
			Warnings: []string{"No users are configured: every local caller is admin of every folder."},
		},
		Savings: web.Savings{
			VirtualBytes: 96 << 30, DataBytes: 31 << 30, UniqueBytes: 9 << 30, StoredBytes: 4 << 30,
			ReclaimableBytes: 300 << 20, Chunks: 262_144,
		},
		Redundancy: web.Redundancy{
			Data: 2, Parity: 1, Survives: 0, LastScrub: &scrubbed,
			Shards: []web.Shard{
				{Index: 0, State: "ok", OK: true, Bytes: 210 << 30, SizeBytes: 960 << 30, FreeBytes: 700 << 30},
				{Index: 1, State: "missing", Error: "open shard: no such directory"},
				{Index: 2, State: "ok", OK: true, Bytes: 209 << 30, SizeBytes: 960 << 30, FreeBytes: 690 << 30},
			},
		},
		Images: []web.Image{
			{
				ID: "fd8k3vq0a1b2c3d4e5f6", Name: "debian-12", Folder: "default", Status: "READY", Family: "debian",
				VirtualSize: 4 << 30, StorageSize: 1_212_153_856, Pooled: true, CreatedAt: noon.Add(-3 * time.Hour),
			},
			{
				ID: "fd8zzzq0a1b2c3d4e5f6", Name: `<img src=x onerror="document.title='taken'">`, Folder: "team-b",
				Status: "CREATING", CreatedAt: noon.Add(-20 * time.Second),
			},
		},
		Pools: []web.Pool{
			{ImageID: "fd8k3vq0a1b2c3d4e5f6", ImageName: "debian-12", Method: "reflink", Ready: 6, Target: 8, Waiting: 1, Hits: 1190, Misses: 12},
			{ImageID: "fd8yyyq0a1b2c3d4e5f6", ImageName: "windows-2025", Method: "ready", Ready: 0, Target: 2, Waiting: 1},
		},
		Disks: web.Disks{Count: 41},
		Operations: []web.Operation{
			{
				ID: "op1", Description: "Create image", ResourceID: "fd8zzzq0a1b2c3d4e5f6", State: "running",
				Done: 700 << 20, Total: 1 << 30, CreatedAt: noon.Add(-20 * time.Second), ModifiedAt: noon,
			},
			{ID: "op2", Description: "Collect garbage", State: "running", CreatedAt: noon, ModifiedAt: noon},
			{ID: "op3", Description: "Create disk", ResourceID: "epd111", State: "done", CreatedAt: noon, ModifiedAt: noon.Add(-4 * time.Second)},
			{
				ID: "op4", Description: "Create image", ResourceID: "fd8bad", State: "failed", CreatedAt: noon, ModifiedAt: noon.Add(-time.Hour),
				Error: "qcow2: L2 table at offset 65536 lies beyond the end of the file",
			},
		},
	}
}

// browser runs headless Chromium on the page of a source; it is everywhere
// where CI is.
func browser(t *testing.T, src web.Source, args ...string) string {
	t.Helper()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("chromium is not installed")
	}
	server := httptest.NewServer(web.Handler(src))
	defer server.Close()
	// Processes of the browser may outlive it for a moment, and still write there.
	profile, err := os.MkdirTemp("", "chromium")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(profile) })
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	args = append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions", "--disable-dev-shm-usage",
		"--user-data-dir=" + profile, "--virtual-time-budget=1500",
	}, append(args, server.URL)...)
	cmd := exec.CommandContext(ctx, chromium, args...)
	cmd.WaitDelay = time.Minute // from the end of the browser until all of its processes have ended
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("chromium: %v", err)
	}
	return string(out)
}

func TestPage(t *testing.T) {
	tests := []struct {
		name string
		src  source
		want []string
		not  []string
	}{
		{
			name: "empty", src: source{status: emptyStatus()},
			want: []string{
				"healthy", "Nothing is stored yet.", "No parity: a lost shard is lost data.", "No image is pooled",
				"None yet.", "blockmill image create", "<title>node-7 · Blockmill</title>",
			},
		},
		{
			name: "full", src: source{status: fullStatus()},
			want: []string{
				"1 shard not well", "24 times less", "one more lost shard would be lost data", "Last scrub 26 h ago",
				"6 of 8 ready, 1 create waits", "1,190 disks of 1,202 were ready", "700 MiB of 1.00 GiB · 68 %",
				"L2 table at offset 65536", "every local caller is admin", "41 disks in use", "open shard: no such directory",
				"&lt;img src=x onerror",
			},
			not: []string{"<img", "<title>taken"},
		},
		{
			name: "token", src: source{err: &web.Error{Code: http.StatusUnauthorized, Text: "a token is wanted"}},
			want: []string{"a token is wanted", `<form id="login">`, `id="content" hidden`},
		},
		{
			name: "failing", src: source{err: context.DeadlineExceeded},
			want: []string{"the node cannot say how it is", `<form id="login" hidden`},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dom := browser(t, tt.src, "--dump-dom")
			for _, want := range tt.want {
				if !strings.Contains(dom, want) {
					t.Errorf("the page has no %q:\n%s", want, dom)
				}
			}
			for _, not := range tt.not {
				if strings.Contains(dom, not) {
					t.Errorf("the page has %q", not)
				}
			}
		})
	}
}

// The page is drawn, light and dark. With BLOCKMILL_SCREENSHOTS=DIR the
// pictures stay there.
func TestPicture(t *testing.T) {
	dir := os.Getenv("BLOCKMILL_SCREENSHOTS")
	if dir == "" {
		dir = t.TempDir()
	}
	tests := []struct {
		name   string
		status web.Status
		dark   bool
		size   string
	}{
		{"empty-light", emptyStatus(), false, "1200,900"},
		{"full-light", fullStatus(), false, "1200,1250"},
		{"full-dark", fullStatus(), true, "1200,1250"},
		{"full-narrow", fullStatus(), false, "500,1700"},
	}
	for _, tt := range tests {
		path := filepath.Join(dir, tt.name+".png")
		args := []string{"--screenshot=" + path, "--window-size=" + tt.size, "--hide-scrollbars"}
		if tt.dark {
			args = append(args, "--blink-settings=preferredColorScheme=0")
		}
		browser(t, source{status: tt.status}, args...)
		img := picture(t, path)
		if dark := luminance(img.At(2, 2)) < 0x4000; dark != tt.dark {
			t.Errorf("%s: dark is %v", tt.name, dark)
		}
		if n := colours(img); n < 12 {
			t.Errorf("%s has %d colours: it was not drawn", tt.name, n)
		}
	}
}

func picture(t *testing.T, path string) image.Image {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func luminance(c color.Color) uint32 {
	gray, _ := color.Gray16Model.Convert(c).(color.Gray16)
	return uint32(gray.Y)
}

// colours counts the colours of a picture, every fourth pixel of it.
func colours(img image.Image) int {
	seen := make(map[color.Color]struct{})
	b := img.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y += 4 {
		for x := b.Min.X; x < b.Max.X; x += 4 {
			seen[img.At(x, y)] = struct{}{}
		}
	}
	return len(seen)
}
