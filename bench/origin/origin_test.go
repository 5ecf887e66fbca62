package origin_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blockmill/blockmill/bench/origin"
)

func TestServer(t *testing.T) {
	dir := t.TempDir()
	serving := filepath.Join(dir, "served")
	if err := os.Mkdir(serving, 0o700); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{filepath.Join(serving, "a b.raw"): "guest bytes", filepath.Join(dir, "secret"): "no"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := origin.Start(serving)
	if err != nil {
		t.Fatal(err)
	}
	type answer struct {
		status int
		body   string
		tagged bool
	}
	get := func(url string) answer {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Range", "bytes=6-")
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		p, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode == http.StatusNotFound {
			p = nil
		}
		return answer{resp.StatusCode, string(p), resp.Header.Get("Etag") != ""}
	}
	none := answer{status: http.StatusNotFound}
	for url, want := range map[string]answer{
		s.URL("a b.raw"):        {http.StatusPartialContent, "bytes", true},
		s.URL("b.raw"):          none,
		s.URL(""):               none, // it lists nothing
		s.URL("x/../../secret"): none,
		s.URL("../secret"):      none,
	} {
		if diff := cmp.Diff(want, get(url), cmp.AllowUnexported(answer{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", url, diff)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL("a b.raw"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := http.DefaultTransport.RoundTrip(req); err == nil {
		resp.Body.Close()
		t.Error("it serves after Close")
	}
}
