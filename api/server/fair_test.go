package server_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/blockmill/blockmill/api/auth"
	"github.com/blockmill/blockmill/api/server"
	"github.com/blockmill/blockmill/pool"
)

// crowd are a hog and another, who have tokens of these names.
func (r *rig) crowd(t *testing.T) {
	t.Helper()
	var all []auth.Account
	for _, id := range []string{"hog", "other"} {
		all = append(all, auth.Account{ID: id, TokenSHA256: []string{sha(id)}, Folders: map[pool.FolderID]auth.Grant{"f": {Role: auth.Viewer}}})
	}
	if err := r.auth.SetAccounts(all); err != nil {
		t.Fatal(err)
	}
}

// as is a context of calls by somebody, "" for nobody.
func as(ctx context.Context, token string) context.Context {
	if token == "" {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
}

// check makes a short call.
func check(t *testing.T, c *grpc.ClientConn, token string) error {
	_, err := healthpb.NewHealthClient(c).Check(as(t.Context(), token), &healthpb.HealthCheckRequest{})
	return err
}

// watch begins a stream.
func watch(ctx context.Context, c *grpc.ClientConn, token string) error {
	s, err := healthpb.NewHealthClient(c).Watch(as(ctx, token), &healthpb.HealthCheckRequest{})
	if err == nil {
		_, err = s.Recv()
	}
	return err
}

// limited is how often a limit has refused.
func (r *rig) limited(limit string) (count float64) {
	families, err := r.registry.Gather()
	if err != nil {
		return -1
	}
	for _, f := range families {
		if f.GetName() != "blockmill_api_over_limit_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			if m.GetLabel()[0].GetValue() == limit {
				count = m.GetCounter().GetValue()
			}
		}
	}
	return count
}

func refused(t *testing.T, err error, message string) {
	t.Helper()
	if status.Code(err) != codes.ResourceExhausted || !strings.Contains(status.Convert(err).Message(), message) {
		t.Errorf("%v, want it refused: %s", err, message)
	}
}

// TestOneCallerLeavesRoom takes all that one may have, as somebody with many
// connections and as nobody: others go on.
func TestOneCallerLeavesRoom(t *testing.T) {
	r := start(t, server.Limits{Calls: 64, SubjectCalls: 4})
	r.crowd(t)
	for _, hog := range []string{"hog", ""} {
		ctx, cancel := context.WithCancel(t.Context())
		first, second := r.dial(t, r.tcp), r.dial(t, r.tcp)
		for range 2 {
			if err := watch(ctx, first, hog); err != nil {
				t.Fatal(err)
			}
		}
		refused(t, watch(ctx, first, hog), "too many streams of one caller at once")
		if err := check(t, first, hog); err != nil {
			t.Errorf("a call of %q beside its streams: %v", hog, err)
		}
		// Calls whose messages do not come.
		for range 2 {
			if _, err := first.NewStream(as(ctx, hog), new(grpc.StreamDesc), "/grpc.health.v1.Health/Check"); err != nil {
				t.Fatal(err)
			}
		}
		refused(t, check(t, first, hog), "too many calls of one caller at once")
		if err := check(t, second, hog); hog == "" && err != nil {
			t.Errorf("another connection of nobody's: %v", err)
		} else if hog != "" {
			refused(t, err, "too many calls of one caller at once")
		}
		for _, c := range []*grpc.ClientConn{first, second} {
			if err := check(t, c, "other"); err != nil {
				t.Errorf("somebody else, beside %q: %v", hog, err)
			}
		}
		cancel()
		settled(t, func() bool { return check(t, first, hog) == nil })
	}
	if calls, streams := r.limited("calls of one caller"), r.limited("streams of one caller"); calls < 3 || streams != 2 {
		t.Errorf("%v calls and %v streams are counted", calls, streams)
	}
}

// Where nobody is known, one connection leaves room for another's.
func TestOneConnectionLeavesRoom(t *testing.T) {
	r := start(t, server.Limits{Calls: 64, SubjectCalls: 2})
	for _, target := range []string{r.tcp, "unix:" + r.socket} {
		first := r.dial(t, target)
		for range 2 {
			if _, err := first.NewStream(t.Context(), new(grpc.StreamDesc), "/grpc.health.v1.Health/Check"); err != nil {
				t.Fatal(err)
			}
		}
		refused(t, check(t, first, ""), "too many calls of one caller at once")
		if err := check(t, r.dial(t, target), ""); err != nil {
			t.Errorf("another connection: %v", err)
		}
	}
}

// TestOneCallerLeavesRoomForRequests is the same by REST, with bodies that do not
// come.
func TestOneCallerLeavesRoomForRequests(t *testing.T) {
	r := start(t, server.Limits{Requests: 64, SubjectRequests: 2})
	r.crowd(t)
	id := r.submit(t, "wait", "f")
	ask := func(token string) (int, map[string]any) {
		code, doc, _ := r.ask(t, "GET", "/operations/"+id, "", "Authorization", "Bearer "+token)
		return code, doc
	}
	settled(t, func() bool {
		// One that comes while another question is answered has no place.
		trickle(t, r.connect(t), "POST /operations/"+id+":cancel HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer hog\r\nContent-Length: 100000\r\n\r\n")
		code, doc := ask("hog")
		return code == http.StatusTooManyRequests && doc["code"] == float64(codes.ResourceExhausted) && doc["message"] == "too many requests of one caller at once"
	})
	if code, doc := ask("other"); code != http.StatusOK {
		t.Errorf("somebody else: %d %v", code, doc)
	}
}

// TestManyHogs has more callers than one take all they can: the metric
// and the answers name the limit that is the node's own then.
func TestManyHogs(t *testing.T) {
	r := start(t, server.Limits{Calls: 4, SubjectCalls: 4})
	r.crowd(t)
	c := r.dial(t, r.tcp)
	for _, hog := range []string{"hog", "hog", "hog", "other"} {
		if _, err := c.NewStream(as(t.Context(), hog), new(grpc.StreamDesc), "/yandex.cloud.operation.OperationService/Get"); err != nil {
			t.Fatal(err)
		}
	}
	_, err := opb.NewOperationServiceClient(c).Get(as(t.Context(), "other"), &opb.GetOperationRequest{OperationId: "none"})
	refused(t, err, "too many calls at once")
	if n := r.limited("calls"); n != 1 {
		t.Errorf("%v calls are counted", n)
	}
}
