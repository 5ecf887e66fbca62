package auth_test

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"net/url"
	"os"
	"testing"

	"github.com/blockmill/blockmill/api/auth"
	"github.com/blockmill/blockmill/pool"
)

func TestRoles(t *testing.T) {
	tests := []struct {
		id   string
		want auth.Role
	}{
		{"viewer", auth.Viewer},
		{"user", auth.User},
		{"editor", auth.Editor},
		{"admin", auth.Admin},
		{"compute.images.user", auth.User},
		{"compute.viewer", auth.Viewer},
		{"iam.admin", auth.None},
		{"compute.images.owner", auth.None},
		{"", auth.None},
		{".", auth.None},
		{"compute.", auth.None},
	}
	for _, tc := range tests {
		if got, ok := auth.ParseRole(tc.id); got != tc.want || ok != (tc.want != auth.None) {
			t.Errorf("%q is %v, %v", tc.id, got, ok)
		}
	}
}

func TestAllow(t *testing.T) {
	viewer := map[pool.FolderID]auth.Role{"a": auth.Viewer}
	everywhere := map[pool.FolderID]auth.Role{auth.EveryFolder: auth.Admin}
	bind := func(role, kind, id string) []pool.Binding {
		return []pool.Binding{{Role: role, SubjectType: kind, SubjectID: id}}
	}
	tests := []struct {
		name     string
		folders  map[pool.FolderID]auth.Role
		need     auth.Role
		folder   pool.FolderID
		bindings []pool.Binding
		want     error
	}{
		{"role on the folder", viewer, auth.Viewer, "a", nil, nil},
		{"too low a role", viewer, auth.User, "a", nil, auth.ErrDenied},
		{"foreign folder", viewer, auth.Viewer, "b", nil, auth.ErrHidden},
		{"unknown folder", viewer, auth.Viewer, "no-such", nil, auth.ErrHidden},
		{"no folder", viewer, auth.Viewer, "", nil, auth.ErrHidden},
		{"foreign folder, more than seeing", viewer, auth.Admin, "b", nil, auth.ErrHidden},
		{"every folder", everywhere, auth.Admin, "b", nil, nil},
		{"binding", viewer, auth.User, "b", bind("user", "userAccount", "me"), nil},
		{"binding raises a role", viewer, auth.Editor, "a", bind("editor", "userAccount", "me"), nil},
		{"binding too low", viewer, auth.Editor, "b", bind("user", "userAccount", "me"), auth.ErrDenied},
		{"another's binding", viewer, auth.Viewer, "b", bind("user", "userAccount", "you"), auth.ErrHidden},
		{"binding of another type", viewer, auth.Viewer, "b", bind("user", "serviceAccount", "me"), auth.ErrHidden},
		{"binding of an unknown role", viewer, auth.Viewer, "b", bind("owner", "userAccount", "me"), auth.ErrHidden},
		{"binding for everybody", viewer, auth.Viewer, "b", bind("viewer", "system", "allAuthenticatedUsers"), nil},
		{"the system's name as a user", viewer, auth.Viewer, "b", bind("viewer", "userAccount", "allUsers"), auth.ErrHidden},
		{"empty role needs a role", nil, auth.Viewer, "", nil, auth.ErrHidden},
	}
	for _, tc := range tests {
		ctx := auth.NewContext(t.Context(), auth.Subject{ID: "me", Type: auth.UserAccount, Folders: tc.folders})
		if err := auth.Allow(ctx, tc.need, tc.folder, tc.bindings); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
	}
	if err := auth.Allow(context.Background(), auth.Viewer, "a", bind("viewer", "system", "allUsers")); !errors.Is(err, auth.ErrUnauthenticated) {
		t.Errorf("nobody: %v", err)
	}
}

func TestAllowNode(t *testing.T) {
	for _, tc := range []struct {
		folder pool.FolderID
		role   auth.Role
		want   error
	}{
		{auth.EveryFolder, auth.Admin, nil},
		{auth.EveryFolder, auth.Editor, auth.ErrDenied},
		{"a", auth.Admin, auth.ErrDenied},
	} {
		ctx := auth.NewContext(t.Context(), auth.Subject{ID: "me", Folders: map[pool.FolderID]auth.Role{tc.folder: tc.role}})
		if err := auth.AllowNode(ctx); !errors.Is(err, tc.want) {
			t.Errorf("%s of %s: %v", tc.role, tc.folder, err)
		}
	}
}

func hashed(token string) []string {
	sum := sha256.Sum256([]byte(token))
	return []string{hex.EncodeToString(sum[:])}
}

func certificate(name, uri string) []*x509.Certificate {
	c := &x509.Certificate{Subject: pkix.Name{CommonName: name}}
	if uri != "" {
		u, err := url.Parse(uri)
		if err != nil {
			panic(err)
		}
		c.URIs = []*url.URL{u}
	}
	return []*x509.Certificate{c}
}

func TestAuthenticate(t *testing.T) {
	const stranger, own = 4_000_000_000, "operator"
	var a auth.Authenticator
	if _, err := a.Authenticate(auth.Peer{Socket: true, Loopback: true}); !errors.Is(err, auth.ErrUnauthenticated) {
		t.Errorf("the zero value knows %v", err)
	}
	err := a.SetAccounts([]auth.Account{
		{ID: "anna", TokenSHA256: hashed("t1.anna.x"), UIDs: []uint32{3_000_000_001}},
		{ID: "builder", Type: auth.ServiceAccount, TokenSHA256: hashed("t1.builder.x"), Certificates: []string{"builder", "spiffe://node/builder"}, GIDs: []uint32{3_000_000_002}},
	})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		peer auth.Peer
		want string // "" is nobody
	}{
		{"token", auth.Peer{Token: "t1.builder.x"}, "builder"},
		{"unknown token", auth.Peer{Token: "t1.builder.y"}, ""},
		{"unknown token of a known user", auth.Peer{Token: "x", Socket: true, Loopback: true, UID: 3_000_000_001}, ""},
		{"unknown token of the operator", auth.Peer{Token: "x", Socket: true, Loopback: true, UID: 0}, ""},
		{"common name", auth.Peer{Certificates: certificate("builder", "")}, "builder"},
		{"alternative name", auth.Peer{Certificates: certificate("x", "spiffe://node/builder")}, "builder"},
		{"unknown name", auth.Peer{Certificates: certificate("x", "")}, ""},
		{"no name", auth.Peer{Certificates: certificate("", "")}, ""},
		{"uid", auth.Peer{Socket: true, Loopback: true, UID: 3_000_000_001}, "anna"},
		{"gid", auth.Peer{Socket: true, Loopback: true, UID: stranger, GID: 3_000_000_002}, "builder"},
		{"own uid", auth.Peer{Socket: true, Loopback: true, UID: uint32(os.Geteuid())}, own},
		{"unknown uid", auth.Peer{Socket: true, Loopback: true, UID: stranger}, ""},
		{"a uid of 0 without a socket", auth.Peer{Loopback: true}, ""},
		{"nothing", auth.Peer{}, ""},
	}
	for _, tc := range tests {
		s, err := a.Authenticate(tc.peer)
		if s.ID != tc.want || (tc.want == "") != errors.Is(err, auth.ErrUnauthenticated) {
			t.Errorf("%s: %q, %v; want %q", tc.name, s.ID, err, tc.want)
		}
	}
}

func TestOpen(t *testing.T) {
	var a auth.Authenticator
	a.Open()
	for _, p := range []auth.Peer{{Loopback: true}, {Loopback: true, Token: "t1.any.thing"}, {Loopback: true, Socket: true, UID: 7}} {
		s, err := a.Authenticate(p)
		if err != nil || s.Role("any", nil) != auth.Admin {
			t.Errorf("%+v: %+v, %v", p, s, err)
		}
	}
	for _, p := range []auth.Peer{{}, {Token: "t1.any.thing"}, {Certificates: certificate("x", "")}} {
		if _, err := a.Authenticate(p); !errors.Is(err, auth.ErrUnauthenticated) {
			t.Errorf("%+v: %v", p, err)
		}
	}
}

func TestAccountsThatMakeNoSense(t *testing.T) {
	var a auth.Authenticator
	if err := a.SetAccounts([]auth.Account{{ID: "kept", TokenSHA256: hashed("kept")}}); err != nil {
		t.Fatal(err)
	}
	for name, users := range map[string][]auth.Account{
		"no id":               {{}},
		"twice":               {{ID: "a"}, {ID: "a"}},
		"short token":         {{ID: "a", TokenSHA256: []string{"abcd"}}},
		"token in the clear":  {{ID: "a", TokenSHA256: []string{"t1.secret"}}},
		"shared uid":          {{ID: "a", UIDs: []uint32{1}}, {ID: "b", UIDs: []uint32{1}}},
		"shared certificates": {{ID: "a", Certificates: []string{"x"}}, {ID: "b", Certificates: []string{"x"}}},
	} {
		if err := a.SetAccounts(users); !errors.Is(err, auth.ErrAccounts) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s, err := a.Authenticate(auth.Peer{Token: "kept"}); err != nil || s.ID != "kept" {
		t.Errorf("the old users are gone: %v, %v", s, err)
	}
}

func TestBearerToken(t *testing.T) {
	for header, want := range map[string]string{
		"Bearer t1.a.b": "t1.a.b", "bearer  x ": "x", "Basic eDp5": "", "": "", "Bearer": "", "t1.a.b": "",
	} {
		if got := auth.BearerToken(header); got != want {
			t.Errorf("%q gives %q", header, got)
		}
	}
}
