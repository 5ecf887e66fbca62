package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/yandex-cloud/go-genproto/yandex/cloud/endpoint"
	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/blockmill/blockmill/api/auth"
	"github.com/blockmill/blockmill/api/operation"
	"github.com/blockmill/blockmill/api/server"
	"github.com/blockmill/blockmill/blockio/blockiotest/leak"
	"github.com/blockmill/blockmill/pool"
)

func TestMain(m *testing.M) { leak.Main(m) }

// statusOf stands for the one table of the daemon.
func statusOf(err error) *rpcstatus.Status {
	code := codes.Internal
	for sentinel, c := range map[error]codes.Code{
		operation.ErrNotFound: codes.NotFound, auth.ErrHidden: codes.NotFound,
		auth.ErrDenied: codes.PermissionDenied, auth.ErrUnauthenticated: codes.Unauthenticated,
	} {
		if errors.Is(err, sentinel) {
			code = c
		}
	}
	return status.New(code, err.Error()).Proto()
}

// rig is a server on every kind of listener, with an engine of operations.
type rig struct {
	*server.Server
	auth   auth.Authenticator
	engine *operation.Engine
	log    *safeBuffer

	registry *prometheus.Registry

	tcp, socket, rest string
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func start(t *testing.T, limits server.Limits) *rig {
	t.Helper()
	r := &rig{log: new(safeBuffer), registry: prometheus.NewRegistry()}
	r.auth.Open()
	engine, err := operation.Open(t.Context(), operation.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r.engine = engine
	engine.Register("echo", operation.HandlerFunc(func(_ context.Context, op *operation.Running) (proto.Message, error) {
		var v wrapperspb.StringValue
		err := op.Request(&v)
		return &v, err
	}))
	engine.Register("wait", operation.HandlerFunc(func(ctx context.Context, _ *operation.Running) (proto.Message, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}))
	if err := engine.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.Server = server.New(server.Options{
		Authenticator: &r.auth, Status: statusOf, Limits: limits,
		Logger: slog.New(slog.NewJSONHandler(r.log, nil)), Metrics: server.NewMetrics(r.registry),
	})
	opb.RegisterOperationServiceServer(r, &server.Operations{Engine: engine})
	endpoint.RegisterApiEndpointServiceServer(r, &server.Endpoints{Default: func() string { return "default:1" }})
	r.SetServing(true)
	r.listen(t)
	return r
}

func (r *rig) listen(t *testing.T) {
	t.Helper()
	h, err := r.REST(http.HandlerFunc(server.NotFound))
	if err != nil {
		t.Fatal(err)
	}
	r.socket = filepath.Join(t.TempDir(), "s")
	var served sync.WaitGroup
	serve := func(network, address string, with func(net.Listener) error) string {
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		served.Go(func() {
			if err := with(l); err != nil {
				t.Error(err)
			}
		})
		return l.Addr().String()
	}
	grpcOn := func(l net.Listener) error { return r.ServeGRPC(l, nil) }
	r.tcp = serve("tcp", "127.0.0.1:0", grpcOn)
	serve("unix", r.socket, grpcOn)
	r.rest = "http://" + serve("tcp", "127.0.0.1:0", func(l net.Listener) error { return r.ServeREST(l, nil, h) })
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := r.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		served.Wait()
		if err := r.engine.Close(ctx); err != nil {
			t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
}

func (r *rig) dial(t *testing.T, target string) *grpc.ClientConn {
	t.Helper()
	c, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func (r *rig) submit(t *testing.T, kind, folder string) string {
	t.Helper()
	op, err := r.engine.Submit(t.Context(), operation.Spec{
		Kind: kind, Folder: folder, CreatedBy: "creator", Metadata: wrapperspb.String("about"), Request: wrapperspb.String("hello"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return op.Id
}

// ask sends a request by REST, and gives the status and body of its answer.
func (r *rig) ask(t *testing.T, method, path, body string, headers ...string) (int, map[string]any, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.rest+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	p, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(p, &doc); err != nil {
		t.Errorf("%s %s: %v in %q", method, path, err, p)
	}
	return resp.StatusCode, doc, resp.Header
}

func TestGRPC(t *testing.T) {
	r := start(t, server.Limits{})
	for _, target := range []string{r.tcp, "unix:" + r.socket} {
		c := r.dial(t, target)
		h, err := healthpb.NewHealthClient(c).Check(t.Context(), &healthpb.HealthCheckRequest{})
		if err != nil || h.Status != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("%s: %v, %v", target, h, err)
		}
		ops := opb.NewOperationServiceClient(c)
		id := r.submit(t, "wait", "f")
		var header metadata.MD
		op, err := ops.Get(t.Context(), &opb.GetOperationRequest{OperationId: id}, grpc.Header(&header))
		if err != nil || op.Done {
			t.Errorf("%s: %v, %v", target, op, err)
		}
		if got := header.Get("x-operation-poll-interval"); len(got) != 1 || got[0] != "1" {
			t.Errorf("poll interval %q", got)
		}
		if _, err := ops.Cancel(t.Context(), &opb.CancelOperationRequest{OperationId: id}); err != nil {
			t.Error(err)
		}
		if _, err := r.engine.Wait(t.Context(), id); err != nil {
			t.Error(err)
		}
		_, err = ops.Get(t.Context(), &opb.GetOperationRequest{OperationId: "none"})
		if status.Code(err) != codes.NotFound || !strings.Contains(err.Error(), `operation "none": no such operation`) {
			t.Errorf("unknown: %v", err)
		}
		if !strings.Contains(r.log.String(), `"audit","method":"yandex.cloud.operation.OperationService/Cancel","subject":"operator","code":"OK"`) ||
			strings.Contains(r.log.String(), "OperationService/Get") {
			t.Errorf("log: %s", r.log)
		}
	}
}

// A listener that comes after Shutdown, as when another could not be opened, is not
// served for ever.
func TestServeAfterShutdown(t *testing.T) {
	var a auth.Authenticator
	s := server.New(server.Options{Authenticator: &a, Status: statusOf})
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	for name, serve := range map[string]func(net.Listener) error{
		"grpc": func(l net.Listener) error { return s.ServeGRPC(l, nil) },
		"rest": func(l net.Listener) error { return s.ServeREST(l, nil, http.NotFoundHandler()) },
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		late := time.AfterFunc(time.Minute, func() {
			t.Errorf("%s is served after Shutdown", name)
			l.Close()
		})
		done.Go(func() {
			_ = serve(l) // an error as soon as it has to be closed from outside
			late.Stop()
			if err := l.Close(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s left its listener open: %v", name, err)
			}
		})
	}
	done.Wait()
}

func TestEndpoints(t *testing.T) {
	r := start(t, server.Limits{})
	tests := []struct{ target, want string }{{r.tcp, r.tcp}, {"unix:" + r.socket, "default:1"}}
	for _, tc := range tests {
		c := endpoint.NewApiEndpointServiceClient(r.dial(t, tc.target))
		list, err := c.List(t.Context(), &endpoint.ListApiEndpointsRequest{})
		if err != nil {
			t.Fatal(err)
		}
		found := make(map[string]string)
		for _, e := range list.Endpoints {
			found[e.Id] = e.Address
		}
		for _, id := range []string{"compute", "operation", "iam"} {
			if found[id] != tc.want {
				t.Errorf("%s by %s is at %q, want %q", id, tc.target, found[id], tc.want)
			}
		}
		if _, err := c.Get(t.Context(), &endpoint.GetApiEndpointRequest{ApiEndpointId: "nothing"}); status.Code(err) != codes.NotFound {
			t.Error(err)
		}
	}
	code, doc, _ := r.ask(t, "GET", "/endpoints", "")
	if list, ok := doc["endpoints"].([]any); code != 200 || !ok || len(list) == 0 {
		t.Errorf("%d %v", code, doc)
	}
}

func TestREST(t *testing.T) {
	r := start(t, server.Limits{MessageBytes: 4096})
	done := r.submit(t, "echo", "f")
	if _, err := r.engine.Wait(t.Context(), done); err != nil {
		t.Fatal(err)
	}
	code, doc, _ := r.ask(t, "GET", "/operations/"+done, "")
	response, _ := doc["response"].(map[string]any)
	if code != 200 || doc["done"] != true || doc["id"] != done || response["value"] != "hello" ||
		response["@type"] != "type.googleapis.com/google.protobuf.StringValue" {
		t.Errorf("%d %v", code, doc)
	}
	if _, err := time.Parse(time.RFC3339Nano, fmt.Sprint(doc["createdAt"])); err != nil {
		t.Error(err)
	}
	for _, method := range []string{"GET", "POST"} {
		id := r.submit(t, "wait", "f")
		code, doc, h := r.ask(t, "GET", "/operations/"+id, "")
		if code != 200 || doc["done"] != false || h.Get("X-Operation-Poll-Interval") != "1" {
			t.Errorf("%d %v %v", code, doc, h)
		}
		if code, doc, _ := r.ask(t, method, "/operations/"+id+":cancel", ""); code != 200 || doc["id"] != id {
			t.Errorf("%s cancel: %d %v", method, code, doc)
		}
		op, err := r.engine.Wait(t.Context(), id)
		if err != nil || op.GetError().GetCode() != int32(codes.Canceled) {
			t.Errorf("%s: %v, %v", method, op, err)
		}
	}
}

func TestRESTRefusals(t *testing.T) {
	r := start(t, server.Limits{MessageBytes: 4096})
	id := r.submit(t, "wait", "f")
	tests := []struct {
		name, method, path, body string
		headers                  []string
		http                     int
		code                     codes.Code
	}{
		{"unknown operation", "GET", "/operations/none", "", nil, 404, codes.NotFound},
		{"unknown path", "GET", "/nothing", "", nil, 404, codes.NotFound},
		{"wrong verb", "DELETE", "/operations/" + id, "", nil, 405, codes.Unimplemented},
		{"another site", "GET", "/operations/" + id, "", []string{"Sec-Fetch-Site", "cross-site"}, 403, codes.PermissionDenied},
		{"another origin", "POST", "/operations/" + id + ":cancel", "", []string{"Origin", "http://elsewhere.example"}, 403, codes.PermissionDenied},
		{"another host", "GET", "/operations/" + id, "", []string{"Host", "elsewhere.example"}, 403, codes.PermissionDenied},
		{"too long", "POST", "/operations/" + id + ":cancel", `{"operationId":"` + strings.Repeat("x", 5000) + `"}`, nil, 413, codes.ResourceExhausted},
		{"unknown field", "POST", "/operations/" + id + ":cancel", `{"what":1}`, nil, 400, codes.InvalidArgument},
		{"another operation than in the path", "GET", "/operations/" + id + "?operationId=none", "", nil, 400, codes.InvalidArgument},
		{"another by the field's name", "POST", "/operations/none:cancel?operation_id=" + id, "", nil, 400, codes.InvalidArgument},
		{"unknown parameter", "GET", "/endpoints?what=1", "", nil, 400, codes.InvalidArgument},
		{"parameter within a text", "GET", "/endpoints?page_token.x=1", "", nil, 400, codes.InvalidArgument},
		{"parameter that is no text", "GET", "/endpoints?pageToken=%ff", "", nil, 400, codes.InvalidArgument},
		{"parameter that is no number", "GET", "/endpoints?pageSize=x", "", nil, 400, codes.InvalidArgument},
		{"identifier that is no text", "GET", "/operations/%ff", "", nil, 400, codes.InvalidArgument},
		{"no JSON", "POST", "/operations/" + id + ":cancel", `{`, nil, 400, codes.InvalidArgument},
		{"a form", "POST", "/operations/" + id + ":cancel", `a=b`, []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, codes.InvalidArgument},
	}
	for _, tc := range tests {
		got, doc, _ := r.ask(t, tc.method, tc.path, tc.body, tc.headers...)
		if code, _ := doc["code"].(float64); got != tc.http || codes.Code(code) != tc.code || doc["message"] == "" {
			t.Errorf("%s: %d %v, want %d and %d", tc.name, got, doc, tc.http, tc.code)
		}
	}
}

// What the transcoder cannot use says which field it is.
func TestRESTBlamesFields(t *testing.T) {
	r := start(t, server.Limits{})
	for path, want := range map[string]string{
		"/endpoints?what=1":         "what",
		"/endpoints?wh%22at=1":      `wh"at`,
		"/endpoints?page_token.x=1": "page_token.x",
		"/endpoints?pageSize=x":     "page_size",
		"/endpoints?pageToken=%ff":  "pageToken",
		"/nothing":                  "",
	} {
		code, doc, _ := r.ask(t, "GET", path, "")
		var field any = ""
		if details, _ := doc["details"].([]any); len(details) == 1 {
			d := details[0].(map[string]any)
			v := d["fieldViolations"].([]any)[0].(map[string]any)
			if field = v["field"]; d["@type"] != "type.googleapis.com/google.rpc.BadRequest" || v["description"] != doc["message"] {
				t.Errorf("%s: %v", path, doc)
			}
		}
		if field != want || want != "" && code != 400 {
			t.Errorf("%s: %d blames %q, want %q: %v", path, code, field, want, doc)
		}
	}
}

func TestForeignOperations(t *testing.T) {
	r := start(t, server.Limits{})
	foreign := r.submit(t, "wait", "theirs")
	own := r.submit(t, "wait", "mine")
	const token = "t1.me.x"
	err := r.auth.SetAccounts([]auth.Account{
		{ID: "me", TokenSHA256: []string{sha(token)}, Folders: map[pool.FolderID]auth.Grant{"mine": {Role: auth.Viewer}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ops := opb.NewOperationServiceClient(r.dial(t, r.tcp))
	me := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token)
	message := func(err error, id string) string {
		return strings.ReplaceAll(fmt.Sprint(status.Code(err), status.Convert(err).Message()), id, "ID")
	}
	for name, call := range map[string]func(id string) error{
		"Get": func(id string) error {
			_, err := ops.Get(me, &opb.GetOperationRequest{OperationId: id})
			return err
		},
		"Cancel": func(id string) error {
			_, err := ops.Cancel(me, &opb.CancelOperationRequest{OperationId: id})
			return err
		},
	} {
		unknown := "abcdefghijklmnopqrst"
		if a, b := message(call(foreign), foreign), message(call(unknown), unknown); a != b {
			t.Errorf("%s: foreign %q, unknown %q", name, a, b)
		}
	}
	if _, err := ops.Get(me, &opb.GetOperationRequest{OperationId: own}); err != nil {
		t.Error(err)
	}
	if _, err := ops.Cancel(me, &opb.CancelOperationRequest{OperationId: own}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("a viewer cancels: %v", err)
	}
	if _, err := ops.Get(t.Context(), &opb.GetOperationRequest{OperationId: own}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("nobody gets: %v", err)
	}
	if code, _, _ := r.ask(t, "GET", "/operations/"+own, ""); code != 401 {
		t.Errorf("nobody gets by REST: %d", code)
	}
	if code, _, _ := r.ask(t, "GET", "/operations/"+own, "", "Authorization", "Bearer "+token); code != 200 {
		t.Errorf("by REST: %d", code)
	}
}
