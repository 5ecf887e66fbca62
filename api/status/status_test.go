package status_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/blockmill/blockmill/api/auth"
	"github.com/blockmill/blockmill/api/filter"
	"github.com/blockmill/blockmill/api/operation"
	"github.com/blockmill/blockmill/api/rules"
	"github.com/blockmill/blockmill/api/status"
	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/convert"
	"github.com/blockmill/blockmill/convert/badimage"
	"github.com/blockmill/blockmill/convert/fetch"
	"github.com/blockmill/blockmill/pool"
	"github.com/blockmill/blockmill/pool/provision"
	"github.com/blockmill/blockmill/pool/ready"
)

func TestCodes(t *testing.T) {
	tests := []struct {
		err  error
		code codes.Code
	}{
		{pool.ErrNotFound, codes.NotFound},
		{pool.ErrNameTaken, codes.AlreadyExists},
		{pool.ErrNotReady, codes.FailedPrecondition},
		{&pool.MinDiskSizeError{Least: 5}, codes.InvalidArgument},
		{pool.ErrDigest, codes.FailedPrecondition},
		{badimage.Corrupt("qcow2", "magic", 0, "x", "y"), codes.InvalidArgument},
		{badimage.Unsupported("qcow2", "version", 4, "9", "2 or 3"), codes.InvalidArgument},
		{&cas.CorruptError{Object: "segments/x"}, codes.DataLoss},
		{cas.ErrClosed, codes.Unavailable},
		{auth.ErrHidden, codes.NotFound},
		{auth.ErrDenied, codes.PermissionDenied},
		{auth.ErrUnauthenticated, codes.Unauthenticated},
		{operation.ErrCancelled, codes.Canceled},
		{operation.ErrKeyReused, codes.InvalidArgument},
		{operation.ErrFull, codes.ResourceExhausted},
		{filter.ErrToken, codes.InvalidArgument},
		{fetch.ErrForbidden, codes.InvalidArgument},
		{fetch.ErrGone, codes.FailedPrecondition},
		{fetch.ErrChecksum, codes.FailedPrecondition},
		{fetch.ErrTemporary, codes.Unavailable},
		{pool.ErrDiskSize, codes.InvalidArgument},
		{pool.ErrInUse, codes.FailedPrecondition},
		{provision.ErrFileSize, codes.FailedPrecondition},
		{rules.Violation("name", "bad"), codes.InvalidArgument},
		{syscall.ENOSPC, codes.ResourceExhausted},
		{context.Canceled, codes.Canceled},
		{context.DeadlineExceeded, codes.DeadlineExceeded},
		{grpcstatus.Error(codes.Unimplemented, "no"), codes.Unimplemented},
		{errors.New("open /var/lib/x"), codes.Internal},
	}
	for _, tt := range tests {
		wrapped := fmt.Errorf("do it: %w", tt.err)
		if got := grpcstatus.Code(status.Err(wrapped)); got != tt.code {
			t.Errorf("%v: %v, want %v", tt.err, got, tt.code)
		}
		if got := status.Proto(wrapped).GetCode(); got != int32(tt.code) {
			t.Errorf("%v in an operation: %v, want %v", tt.err, got, tt.code)
		}
	}
	if err := status.Err(nil); err != nil {
		t.Errorf("no error: %v", err)
	}
}

// The insides of the node are for its log.
func TestSecrets(t *testing.T) {
	for _, cause := range []error{
		errors.New("open /secret/path"),
		fmt.Errorf("write /secret/path: %w", syscall.ENOSPC),
		fmt.Errorf("/secret/path: %w", cas.ErrCorrupt),
	} {
		err := status.Err(cause)
		if text := grpcstatus.Convert(err).Message(); strings.Contains(text, "secret") || text == "" {
			t.Errorf("%v: the caller is told %q", cause, text)
		}
		if !errors.Is(err, cause) || !strings.Contains(err.Error(), "secret") {
			t.Errorf("%v: the log is told %v", cause, err)
		}
	}
}

// What the rules say of a request arrives whole.
func TestDetails(t *testing.T) {
	err := status.Err(fmt.Errorf("create image: %w", rules.Violation("name", "bad")))
	if n := len(grpcstatus.Convert(err).Details()); n != 1 {
		t.Errorf("%d details, want 1", n)
	}
}

// An error that one field is to blame for says so in its details.
func TestFields(t *testing.T) {
	for err, want := range map[error]string{
		fmt.Errorf("5 bytes: %w", pool.ErrDiskSize): "size",
		provision.ErrFileSize:                       "size",
		&pool.MinDiskSizeError{Least: 5}:            "min_disk_size",
		pool.ErrName:                                "name",
		fetch.ErrForbidden:                          "uri",
		operation.ErrKeyReused:                      "idempotency-key",
		filter.ErrToken:                             "page_token",
		pool.ErrNameTaken:                           "",
		badimage.Corrupt("raw", "size", 0, "", ""):  "",
		status.Blame("uri", fmt.Errorf("open: %w", badimage.Corrupt("raw", "size", 0, "", ""))): "uri",
		status.Blame("path", pool.ErrFormatRefused):                                             "path",
		fmt.Errorf("create: %w", status.Blame("uri", convert.ErrFormat)):                        "uri",
		status.Blame("uri", fmt.Errorf("fill: %w", pool.ErrMinDiskSize)):                        "min_disk_size",
		status.Blame("uri", fetch.ErrGone):                                                      "",
		status.Blame("uri", cas.ErrCorrupt):                                                     "",
		fmt.Errorf("set: %w", ready.Settings{Min: 5, Max: 3}.Validate()):                        "min max",
		ready.Settings{Min: -1, Max: 20_000, Capacity: 20_000}.Validate():                       "min max capacity",
		ready.Settings{Max: -1, Capacity: 1}.Validate():                                         "max capacity",
	} {
		s := grpcstatus.Convert(status.Err(err))
		var fields []string
		for _, d := range s.Details() {
			for _, v := range d.(*errdetails.BadRequest).GetFieldViolations() {
				fields = append(fields, v.GetField())
				if v.GetDescription() != s.Message() {
					t.Errorf("%v: described as %q", err, v.GetDescription())
				}
			}
		}
		if got := strings.Join(fields, " "); got != want {
			t.Errorf("%v: blames %q, want %q", err, got, want)
		}
	}
}

// Errors of one code that mean different things to who asked are told apart.
func TestReasons(t *testing.T) {
	for err, want := range map[error]string{
		pool.ErrDigest:    "DIGEST_DIFFERS",
		fetch.ErrChecksum: "CHECKSUM_DIFFERS",
		fetch.ErrChanged:  "SOURCE_CHANGED",
		fetch.ErrProtocol: "SOURCE_MISBEHAVES",
		fetch.ErrNoRanges: "SOURCE_WITHOUT_RANGES",
		fetch.ErrGone:     "",
		pool.ErrName:      "",
		context.Canceled:  "",
	} {
		var got string
		for _, d := range grpcstatus.FromProto(status.Proto(fmt.Errorf("do it: %w", err))).Details() {
			if info, ok := d.(*errdetails.ErrorInfo); ok && info.GetDomain() == "blockmill" {
				got = info.GetReason()
			}
		}
		if got != want {
			t.Errorf("%v: reason %q, want %q", err, got, want)
		}
	}
}

// Every sentinel of the packages below is in the table, or is named here with the
// reason why no caller ever meets it.
func TestTableIsWhole(t *testing.T) {
	inner := map[string]string{
		"pool.ErrAmbiguous":       "found by name offline",
		"cas.ErrNoStore":          "at the start",
		"cas.ErrStoreExists":      "at the start",
		"cas.ErrLocked":           "at the start",
		"cas.ErrNewerVersion":     "at the start",
		"operation.ErrQueue":      "between handler and engine",
		"auth.ErrAccounts":        "in the configuration",
		"convert.ErrOption":       "of writers, offline",
		"convert.ErrExtents":      "of images in several files, offline",
		"provision.ErrInUse":      "the same as pool.ErrInUse",
		"ready.ErrStopped":        "between pool and node",
		"ready.ErrNone":           "between pool and node",
		"auth.ErrCertificates":    "in the configuration",
		"provision.ErrOtherStore": "at the start",
		"lazy.ErrBase":            "a mistake of the node's own",
		"lazy.ErrRange":           "a mistake of the node's own",
	}
	table, err := os.ReadFile("table.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{
		"api/operation", "api/auth", "api/filter", "blockio/cas", "convert", "convert/badimage", "convert/fetch",
		"pool", "pool/provision", "pool/ready", "pool/lazy",
	} {
		for _, name := range sentinels(t, filepath.Join("..", "..", dir)) {
			name = path.Base(dir) + "." + name
			if !strings.Contains(string(table), "{err: "+name+",") && inner[name] == "" {
				t.Errorf("%s is not in the table", name)
			}
		}
	}
}

// sentinels lists the exported errors of a package.
func sentinels(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %d files, %v", dir, len(files), err)
	}
	var names []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range f.Decls {
			vars, ok := decl.(*ast.GenDecl)
			if !ok || vars.Tok != token.VAR {
				continue
			}
			for _, spec := range vars.Specs {
				for _, id := range spec.(*ast.ValueSpec).Names {
					if strings.HasPrefix(id.Name, "Err") {
						names = append(names, id.Name)
					}
				}
			}
		}
	}
	return names
}
