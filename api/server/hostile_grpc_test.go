package server_test

import (
	"bytes"
	"errors"
	"net"
	"testing"
	"time"

	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/blockmill/blockmill/api/auth"
	"github.com/blockmill/blockmill/api/server"
	"github.com/blockmill/blockmill/pool"
)

// rawClient speaks HTTP/2 by the frame, which no client library would do so badly.
type rawClient struct {
	t *testing.T
	net.Conn
	*http2.Framer
}

func (r *rig) raw(t *testing.T) *rawClient {
	t.Helper()
	conn, err := net.Dial("tcp", r.tcp)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		t.Fatal(err)
	}
	c := &rawClient{t, conn, http2.NewFramer(conn, conn)}
	if err := c.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	return c
}

// call sends the headers of a call and no message.
func (c *rawClient) call(stream uint32, method string, headers ...string) {
	c.t.Helper()
	var block bytes.Buffer
	e := hpack.NewEncoder(&block)
	all := append([]string{
		":method", "POST", ":scheme", "http", ":path", method, ":authority", "a",
		"content-type", "application/grpc", "te", "trailers",
	}, headers...)
	for i := 0; i < len(all); i += 2 {
		if err := e.WriteField(hpack.HeaderField{Name: all[i], Value: all[i+1]}); err != nil {
			c.t.Fatal(err)
		}
	}
	err := c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndHeaders: true})
	if err != nil {
		c.t.Fatal(err)
	}
}

// until reads frames until one is wanted, or the connection ends; that it is not
// kept is what the deadline holds.
func (c *rawClient) until(wanted func(http2.Frame) bool) http2.Frame {
	c.t.Helper()
	for {
		f, err := c.ReadFrame()
		if err != nil {
			c.t.Fatalf("the connection ended before: %v", err)
		}
		if wanted(f) {
			return f
		}
	}
}

func TestPingsInARow(t *testing.T) {
	r := start(t, server.Limits{})
	c := r.raw(t)
	// The server reads on while it says goodbye, until it closes.
	go func() {
		for c.WritePing(false, [8]byte{1}) == nil {
			select {
			case <-t.Context().Done():
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	away := c.until(func(f http2.Frame) bool { _, ok := f.(*http2.GoAwayFrame); return ok }).(*http2.GoAwayFrame)
	if away.ErrCode != http2.ErrCodeEnhanceYourCalm || string(away.DebugData()) != "too_many_pings" {
		t.Errorf("%v %q", away.ErrCode, away.DebugData())
	}
	for {
		if _, err := c.ReadFrame(); err != nil {
			if net, ok := errors.AsType[net.Error](err); ok && net.Timeout() {
				t.Error("the connection is kept")
			}
			return
		}
	}
}

func TestIdleConnection(t *testing.T) {
	r := start(t, server.Limits{Idle: 50 * time.Millisecond})
	r.raw(t).until(func(f http2.Frame) bool { _, ok := f.(*http2.GoAwayFrame); return ok })
}

// TestMessageThatDoesNotCome begins calls and sends a byte of their messages.
func TestMessageThatDoesNotCome(t *testing.T) {
	r := start(t, server.Limits{Receive: 50 * time.Millisecond, Calls: 1})
	c := r.raw(t)
	for i, method := range []string{"/yandex.cloud.operation.OperationService/Get", "/grpc.health.v1.Health/Watch"} {
		stream := uint32(2*i + 1)
		c.call(stream, method)
		if err := c.WriteData(stream, false, []byte{0}); err != nil {
			t.Fatal(err)
		}
		c.until(func(f http2.Frame) bool {
			h, ok := f.(*http2.HeadersFrame)
			return ok && h.StreamID == stream && h.StreamEnded()
		})
	}
	// The one place is free again. On a busy machine these messages may be late, too.
	ops := opb.NewOperationServiceClient(r.dial(t, r.tcp))
	settled(t, func() bool {
		_, err := ops.Get(t.Context(), &opb.GetOperationRequest{OperationId: "none"})
		return status.Code(err) == codes.NotFound
	})
	// A stream whose message has come may last longer.
	health := healthpb.NewHealthClient(r.dial(t, r.tcp))
	var watch healthpb.Health_WatchClient
	settled(t, func() bool {
		var err error
		if watch, err = health.Watch(t.Context(), &healthpb.HealthCheckRequest{}); err != nil {
			return false
		}
		_, err = watch.Recv()
		return err == nil
	})
	timer := time.NewTimer(200 * time.Millisecond)
	defer timer.Stop()
	<-timer.C
	r.SetServing(false)
	if state, err := watch.Recv(); err != nil || state.GetStatus() != healthpb.HealthCheckResponse_NOT_SERVING {
		t.Errorf("%v, %v", state, err)
	}
}

func TestStreamsLeaveRoomForCalls(t *testing.T) {
	r := start(t, server.Limits{Calls: 4, SubjectCalls: 100})
	health := healthpb.NewHealthClient(r.dial(t, r.tcp))
	for i := range 3 {
		watch, err := health.Watch(t.Context(), &healthpb.HealthCheckRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err = watch.Recv(); i < 2 && err != nil || i == 2 && status.Code(err) != codes.ResourceExhausted {
			t.Errorf("watch %d: %v", i, err)
		}
	}
	if _, err := health.Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil {
		t.Errorf("a call beside them: %v", err)
	}
}

func TestStrangersLeaveRoom(t *testing.T) {
	r := start(t, server.Limits{Calls: 8, SubjectCalls: 100})
	const token = "t1.me.x"
	err := r.auth.SetAccounts([]auth.Account{
		{ID: "me", TokenSHA256: []string{sha(token)}, Folders: map[pool.FolderID]auth.Grant{"f": {Role: auth.Viewer}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	health := healthpb.NewHealthClient(r.dial(t, r.tcp))
	watch, err := health.Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}
	if _, err := health.Check(t.Context(), &healthpb.HealthCheckRequest{}); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("one more of a stranger: %v", err)
	}
	me := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token)
	if _, err := health.Check(me, &healthpb.HealthCheckRequest{}); err != nil {
		t.Errorf("somebody known: %v", err)
	}
}

func TestConnectionsAtOnce(t *testing.T) {
	r := start(t, server.Limits{Connections: 2})
	for range 2 {
		r.known(t)
	}
	third, err := net.Dial("tcp", r.tcp)
	if err != nil {
		t.Fatal(err)
	}
	defer third.Close()
	if _, err := third.Read(make([]byte, 1)); err == nil {
		t.Error("a third connection is served")
	}
	r.SetConnections(3)
	r.raw(t).until(func(f http2.Frame) bool { _, ok := f.(*http2.SettingsFrame); return ok })
}

// known is a connection on which somebody known has called.
func (r *rig) known(t *testing.T) *rawClient {
	t.Helper()
	c := r.raw(t)
	c.ask(1)
	c.until(func(f http2.Frame) bool { h, ok := f.(*http2.HeadersFrame); return ok && h.StreamEnded() })
	return c
}

// ask calls a method whose answer is not empty, in full.
func (c *rawClient) ask(stream uint32) {
	c.t.Helper()
	c.call(stream, "/yandex.cloud.endpoint.ApiEndpointService/List")
	if err := c.WriteData(stream, true, make([]byte, 5)); err != nil { // an empty message
		c.t.Fatal(err)
	}
}

// TestNewcomersMakeRoom opens connections again and again and calls on one.
func TestNewcomersMakeRoom(t *testing.T) {
	r := start(t, server.Limits{Connections: 3})
	settings := func(f http2.Frame) bool { _, ok := f.(*http2.SettingsFrame); return ok }
	var idle []*rawClient
	for range 3 {
		idle = append(idle, r.raw(t))
		idle[len(idle)-1].until(settings)
	}
	known := r.known(t)
	for range 10 {
		r.raw(t).until(settings)
	}
	for _, c := range idle {
		for {
			if _, err := c.ReadFrame(); err != nil {
				if net, ok := errors.AsType[net.Error](err); ok && net.Timeout() {
					t.Error("an idle connection is kept")
				}
				break
			}
		}
	}
	known.ask(3)
	known.until(func(f http2.Frame) bool {
		h, ok := f.(*http2.HeadersFrame)
		return ok && h.StreamID == 3 && h.StreamEnded()
	})
}

// TestAnswersThatAreNotTaken calls and takes nothing of the answers: the calls keep
// their places, but not for ever.
func TestAnswersThatAreNotTaken(t *testing.T) {
	const places = 3
	r := start(t, server.Limits{Receive: 2 * time.Second, Calls: places, SubjectCalls: places})
	c := r.raw(t)
	if err := c.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}); err != nil {
		t.Fatal(err)
	}
	// One whose answer is given up is no longer there.
	c.ask(1)
	c.until(func(f http2.Frame) bool { h, ok := f.(*http2.HeadersFrame); return ok && h.StreamID == 1 })
	if err := c.WriteRSTStream(1, http2.ErrCodeCancel); err != nil {
		t.Fatal(err)
	}
	for n := range uint32(places) {
		stream := 2*n + 3
		c.ask(stream)
		f := c.until(func(f http2.Frame) bool { h, ok := f.(*http2.HeadersFrame); return ok && h.StreamID == stream })
		if f.(*http2.HeadersFrame).StreamEnded() {
			t.Fatalf("call %d is refused", n)
		}
	}
	ops := opb.NewOperationServiceClient(r.dial(t, r.tcp))
	get := func() codes.Code {
		_, err := ops.Get(t.Context(), &opb.GetOperationRequest{OperationId: "none"})
		return status.Code(err)
	}
	if got := get(); got != codes.ResourceExhausted {
		t.Errorf("beside answers that are not taken: %v", got)
	}
	for {
		if _, err := c.ReadFrame(); err != nil {
			if net, ok := errors.AsType[net.Error](err); ok && net.Timeout() {
				t.Error("the connection is kept")
			}
			break
		}
	}
	settled(t, func() bool { return get() == codes.NotFound })
}

// TestAnswersThatAreTaken has a client that takes each answer late, and gets all.
func TestAnswersThatAreTaken(t *testing.T) {
	r := start(t, server.Limits{SubjectCalls: 2})
	c := r.raw(t)
	if err := c.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}); err != nil {
		t.Fatal(err)
	}
	for n := range uint32(10) {
		stream := 2*n + 1
		c.ask(stream)
		c.until(func(f http2.Frame) bool {
			h, ok := f.(*http2.HeadersFrame)
			return ok && h.StreamID == stream && !h.StreamEnded()
		})
		if err := c.WriteWindowUpdate(stream, 1<<20); err != nil {
			t.Fatal(err)
		}
		c.until(func(f http2.Frame) bool {
			h, ok := f.(*http2.HeadersFrame)
			return ok && h.StreamID == stream && h.StreamEnded()
		})
	}
}
