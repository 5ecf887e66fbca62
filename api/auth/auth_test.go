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
		want auth.Grant
	}{
		{"viewer", auth.Grant{Role: auth.Viewer}},
		{"user", auth.Grant{Role: auth.User}},
		{"editor", auth.Grant{Role: auth.Editor}},
		{"admin", auth.Grant{Role: auth.Admin}},
		{"compute.images.user", auth.Grant{Role: auth.User, Kind: auth.Images}},
		{"compute.disks.admin", auth.Grant{Role: auth.Admin, Kind: auth.Disks}},
		{"compute.snapshots.editor", auth.Grant{Role: auth.Editor, Kind: auth.Snapshots}},
		{"compute.viewer", auth.Grant{Role: auth.Viewer}},
		{"iam.admin", auth.Grant{}},
		{"images.admin", auth.Grant{}},
		{"compute.images.owner", auth.Grant{}},
		{"compute.pools.admin", auth.Grant{}},
		{"", auth.Grant{}},
		{".", auth.Grant{}},
		{"compute.", auth.Grant{}},
	}
	for _, tc := range tests {
		if got, ok := auth.ParseRole(tc.id); got != tc.want || ok != (tc.want != auth.Grant{}) {
			t.Errorf("%q is %v, %v", tc.id, got, ok)
		}
	}
}

func TestAllow(t *testing.T) {
	viewer := map[pool.FolderID]auth.Grant{"a": {Role: auth.Viewer}}
	images := map[pool.FolderID]auth.Grant{"a": {Role: auth.Editor, Kind: auth.Images}}
	everywhere := map[pool.FolderID]auth.Grant{auth.EveryFolder: {Role: auth.Admin}}
	bind := func(role, kind, id string) []pool.Binding {
		return []pool.Binding{{Role: role, SubjectType: kind, SubjectID: id}}
	}
	tests := []struct {
		name     string
		folders  map[pool.FolderID]auth.Grant
		need     auth.Role
		kind     auth.Kind
		folder   pool.FolderID
		bindings []pool.Binding
		want     error
	}{
		{"role on the folder", viewer, auth.Viewer, auth.Images, "a", nil, nil},
		{"too low a role", viewer, auth.User, auth.Images, "a", nil, auth.ErrDenied},
		{"foreign folder", viewer, auth.Viewer, auth.Images, "b", nil, auth.ErrHidden},
		{"unknown folder", viewer, auth.Viewer, auth.Images, "no-such", nil, auth.ErrHidden},
		{"no folder", viewer, auth.Viewer, auth.Images, "", nil, auth.ErrHidden},
		{"foreign folder, more than seeing", viewer, auth.Admin, auth.Images, "b", nil, auth.ErrHidden},
		{"every folder", everywhere, auth.Admin, auth.Images, "b", nil, nil},
		{"binding", viewer, auth.User, auth.Images, "b", bind("user", "userAccount", "me"), nil},
		{"binding raises a role", viewer, auth.Editor, auth.Images, "a", bind("editor", "userAccount", "me"), nil},
		{"binding too low", viewer, auth.Editor, auth.Images, "b", bind("user", "userAccount", "me"), auth.ErrDenied},
		{"another's binding", viewer, auth.Viewer, auth.Images, "b", bind("user", "userAccount", "you"), auth.ErrHidden},
		{"binding of another type", viewer, auth.Viewer, auth.Images, "b", bind("user", "serviceAccount", "me"), auth.ErrHidden},
		{"binding of an unknown role", viewer, auth.Viewer, auth.Images, "b", bind("owner", "userAccount", "me"), auth.ErrHidden},
		{"binding for everybody", viewer, auth.Viewer, auth.Images, "b", bind("viewer", "system", "allAuthenticatedUsers"), nil},
		{"the system's name as a user", viewer, auth.Viewer, auth.Images, "b", bind("viewer", "userAccount", "allUsers"), auth.ErrHidden},
		{"empty role needs a role", nil, auth.Viewer, auth.Images, "", nil, auth.ErrHidden},
		{"role for a kind", images, auth.Editor, auth.Images, "a", nil, nil},
		{"role for a kind, of another", images, auth.Viewer, auth.Disks, "a", nil, auth.ErrHidden},
		{"role for a kind, of none", images, auth.Viewer, auth.Every, "a", nil, auth.ErrHidden},
		{"role for a kind in every folder", map[pool.FolderID]auth.Grant{auth.EveryFolder: {Role: auth.Admin, Kind: auth.Disks}}, auth.Viewer, auth.Snapshots, "a", nil, auth.ErrHidden},
		{"binding for the kind", nil, auth.User, auth.Disks, "a", bind("compute.disks.user", "userAccount", "me"), nil},
		{"binding for another kind", nil, auth.Viewer, auth.Images, "a", bind("compute.disks.admin", "userAccount", "me"), auth.ErrHidden},
		{"binding for the service", nil, auth.User, auth.Snapshots, "a", bind("compute.user", "userAccount", "me"), nil},
	}
	for _, tc := range tests {
		ctx := auth.NewContext(t.Context(), auth.Subject{ID: "me", Type: auth.UserAccount, Folders: tc.folders})
		if err := auth.Allow(ctx, tc.need, tc.kind, tc.folder, tc.bindings); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
	}
	if err := auth.Allow(context.Background(), auth.Viewer, auth.Images, "a", bind("viewer", "system", "allUsers")); !errors.Is(err, auth.ErrUnauthenticated) {
		t.Errorf("nobody: %v", err)
	}
}

// TestAllowFolder: a role for one kind makes the folder known, and no more.
func TestAllowFolder(t *testing.T) {
	ctx := auth.NewContext(t.Context(), auth.Subject{ID: "me", Folders: map[pool.FolderID]auth.Grant{
		"a": {Role: auth.Editor, Kind: auth.Images},
	}})
	for _, tc := range []struct {
		kind   auth.Kind
		folder pool.FolderID
		want   error
	}{
		{auth.Images, "a", nil},
		{auth.Disks, "a", auth.ErrDenied},
		{auth.Every, "a", auth.ErrDenied},
		{auth.Images, "b", auth.ErrHidden},
	} {
		if err := auth.AllowFolder(ctx, auth.Viewer, tc.kind, tc.folder); !errors.Is(err, tc.want) {
			t.Errorf("%q in %s: %v, want %v", tc.kind, tc.folder, err, tc.want)
		}
	}
	if err := auth.AllowFolder(context.Background(), auth.Viewer, auth.Images, "a"); !errors.Is(err, auth.ErrUnauthenticated) {
		t.Errorf("nobody: %v", err)
	}
}

func TestAllowNode(t *testing.T) {
	for _, tc := range []struct {
		folder pool.FolderID
		grant  auth.Grant
		want   error
	}{
		{auth.EveryFolder, auth.Grant{Role: auth.Admin}, nil},
		{auth.EveryFolder, auth.Grant{Role: auth.Editor}, auth.ErrDenied},
		{auth.EveryFolder, auth.Grant{Role: auth.Admin, Kind: auth.Images}, auth.ErrDenied},
		{"a", auth.Grant{Role: auth.Admin}, auth.ErrDenied},
	} {
		ctx := auth.NewContext(t.Context(), auth.Subject{ID: "me", Folders: map[pool.FolderID]auth.Grant{tc.folder: tc.grant}})
		if err := auth.AllowNode(ctx); !errors.Is(err, tc.want) {
			t.Errorf("%v of %s: %v", tc.grant, tc.folder, err)
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
		if err != nil || s.Role(auth.Every, "any", nil) != auth.Admin {
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
		"the operator's id":   {{ID: "operator"}},
		"the node's id":       {{ID: "blockmilld", Type: auth.ServiceAccount}},
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
