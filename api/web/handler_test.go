package web_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/blockmill/blockmill/api/web"
)

// source gives one status, or an error.
type source struct {
	status web.Status
	err    error
}

func (s source) Status(context.Context) (web.Status, error) { return s.status, s.err }

func get(t *testing.T, src web.Source, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	web.Handler(src).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w
}

func TestFiles(t *testing.T) {
	tests := []struct {
		path, kind string
		code       int
	}{
		{"/", "text/html; charset=utf-8", 200},
		{"/page.css", "text/css; charset=utf-8", 200},
		{"/page.js", "text/javascript; charset=utf-8", 200},
		{"/status.json", "application/json", 200},
		{"/page.html", "text/plain; charset=utf-8", 404},
		{"/handler.go", "text/plain; charset=utf-8", 404},
		{"/compute/v1/images", "text/plain; charset=utf-8", 404},
	}
	for _, tt := range tests {
		w := get(t, source{}, tt.path)
		if w.Code != tt.code || w.Header().Get("Content-Type") != tt.kind {
			t.Errorf("%s: %d %s, want %d %s", tt.path, w.Code, w.Header().Get("Content-Type"), tt.code, tt.kind)
		}
		if tt.code == 200 && !strings.Contains(w.Header().Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s has no policy", tt.path)
		}
	}
}

// The page is whole by itself: it names no other host.
func TestNoNetwork(t *testing.T) {
	for _, path := range []string{"/", "/page.css", "/page.js"} {
		body := strings.ReplaceAll(get(t, source{}, path).Body.String(), "http://www.w3.org/2000/svg", "") // a name, not an address
		for _, address := range []string{"http://", "https://", "src=\"//", "url(//", "@import"} {
			if strings.Contains(body, address) {
				t.Errorf("%s has %q in it", path, address)
			}
		}
	}
}

func TestEmptyListsAreLists(t *testing.T) {
	body := get(t, source{}, "/status.json").Body.String()
	if strings.Contains(strings.ReplaceAll(body, `"last_scrub":null`, ""), "null") {
		t.Errorf("the script counts lists, and gets: %s", body)
	}
}

func TestRefusal(t *testing.T) {
	tests := []struct {
		err  error
		code int
		text string
	}{
		{&web.Error{Code: 401, Text: "who are you"}, 401, "who are you"},
		{errors.New("open /srv/secret: permission denied"), 503, "the node cannot say how it is"},
	}
	for _, tt := range tests {
		w := get(t, source{err: tt.err}, "/status.json")
		var answer struct{ Message string }
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Fatal(err)
		}
		if w.Code != tt.code || answer.Message != tt.text {
			t.Errorf("%v: %d %q, want %d %q", tt.err, w.Code, answer.Message, tt.code, tt.text)
		}
	}
}
