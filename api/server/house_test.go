package server_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/yandex-cloud/go-genproto/yandex/cloud/access"
	"github.com/yandex-cloud/go-genproto/yandex/cloud/endpoint"
	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/blockmill/blockmill/api/auth"
	"github.com/blockmill/blockmill/api/blockmillpb"
	"github.com/blockmill/blockmill/api/compute"
	"github.com/blockmill/blockmill/api/node"
	"github.com/blockmill/blockmill/api/operation"
	"github.com/blockmill/blockmill/api/server"
	"github.com/blockmill/blockmill/api/status"
	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/convert"
	"github.com/blockmill/blockmill/convert/raw"
	"github.com/blockmill/blockmill/pool"
	"github.com/blockmill/blockmill/pool/provision"
)

// house is a node with everything that it serves, on listeners of its own, and
// with people who may do this and that. The things are in the folder "house".
type house struct {
	*server.Server
	t      *testing.T
	node   *pool.Node
	engine *operation.Engine
	log    *safeBuffer
	conn   *grpc.ClientConn
	rest   string
	things things
}

// person is an account. Its token is its id, and it is admin of the folder that is
// named after it.
type person struct {
	id    string
	role  auth.Grant // on the folder of the house
	bound auth.Grant // on each of the things that it is for, by their bindings
}

// people have every role in either way. The last two are strangers: the bindings
// have the one's id with another type.
var people = []person{
	{"folder-viewer", role(auth.Viewer), nobody},
	{"folder-user", role(auth.User), nobody},
	{"folder-editor", role(auth.Editor), nobody},
	{"folder-admin", role(auth.Admin), nobody},
	{"images-editor", auth.Grant{Role: auth.Editor, Kind: auth.Images}, nobody},
	{"disks-admin", auth.Grant{Role: auth.Admin, Kind: auth.Disks}, nobody},
	{"snapshots-user", auth.Grant{Role: auth.User, Kind: auth.Snapshots}, nobody},
	{"bound-viewer", nobody, role(auth.Viewer)},
	{"bound-user", nobody, role(auth.User)},
	{"bound-editor", nobody, role(auth.Editor)},
	{"bound-admin", nobody, role(auth.Admin)},
	{"bound-images-admin", nobody, auth.Grant{Role: auth.Admin, Kind: auth.Images}},
	{"bound-disks-editor", nobody, auth.Grant{Role: auth.Editor, Kind: auth.Disks}},
	{"both", role(auth.Viewer), role(auth.Editor)},
	{"both-kinds", auth.Grant{Role: auth.Viewer, Kind: auth.Disks}, auth.Grant{Role: auth.User, Kind: auth.Images}},
	{"service", nobody, nobody},
	{"mallory", nobody, nobody},
}

var nobody auth.Grant

// role is one for things of every kind.
func role(r auth.Role) auth.Grant { return auth.Grant{Role: r} }

// roleID is the id of a role.
func roleID(g auth.Grant) string {
	if g.Kind == auth.Every {
		return g.Role.String()
	}
	return "compute." + string(g.Kind) + "s." + g.Role.String()
}

// operator is admin of everything.
const operator = "root"

func binding(role, kind, id string) *access.AccessBinding {
	return &access.AccessBinding{RoleId: role, Subject: &access.Subject{Type: kind, Id: id}}
}

// bindings are those of each thing of a kind.
func bindings(on auth.Kind) []*access.AccessBinding {
	all := []*access.AccessBinding{binding("admin", auth.UserAccount, "service")}
	for _, p := range people {
		if p.bound.Kind == auth.Every && p.bound != nobody || p.bound.Kind == on {
			all = append(all, binding(roleID(p.bound), auth.UserAccount, p.id))
		}
	}
	return all
}

func accounts() []auth.Account {
	all := []auth.Account{{ID: operator, TokenSHA256: []string{sha(operator)}, Folders: map[pool.FolderID]auth.Grant{auth.EveryFolder: {Role: auth.Admin}}}}
	for _, p := range people {
		a := auth.Account{ID: p.id, TokenSHA256: []string{sha(p.id)}, Folders: map[pool.FolderID]auth.Grant{
			pool.FolderID(p.id): {Role: auth.Admin}, "house": p.role,
		}}
		if p.id == "service" {
			a.Type = auth.ServiceAccount
		}
		all = append(all, a)
	}
	return all
}

// newHouse builds the house and puts one of everything in.
func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, log: new(safeBuffer)}
	// What the house needs outlives the test's context.
	ctx := context.WithoutCancel(t.Context())
	volume := blockiotest.NewMemVolume()
	if err := cas.Init(ctx, cas.Options{Volume: volume}); err != nil {
		t.Fatal(err)
	}
	store := must[*cas.Store](t)(cas.Open(ctx, cas.Options{Volume: volume}))
	h.node = must[*pool.Node](t)(pool.Open(ctx, pool.Options{Store: store, Disks: []provision.Options{{Path: t.TempDir(), Reserve: -1}}}))
	h.engine = must[*operation.Engine](t)(operation.Open(ctx, operation.Options{Status: status.Proto}))
	t.Cleanup(func() {
		if err := errors.Join(h.engine.Close(ctx), h.node.Close(), store.Close()); err != nil {
			t.Error(err)
		}
	})
	h.serve(ctx)
	h.furnish()
	return h
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// serve serves everything.
func (h *house) serve(ctx context.Context) {
	h.t.Helper()
	a := new(auth.Authenticator)
	if err := a.SetAccounts(accounts()); err != nil {
		h.t.Fatal(err)
	}
	h.Server = server.New(server.Options{Authenticator: a, Status: status.Proto, Logger: slog.New(slog.NewJSONHandler(h.log, nil))})
	opb.RegisterOperationServiceServer(h, &server.Operations{Engine: h.engine})
	endpoint.RegisterApiEndpointServiceServer(h, &server.Endpoints{})
	services := must[*compute.Services](h.t)(compute.New(compute.Options{Node: h.node, Operations: h.engine}))
	services.Register(h)
	node.New(node.Options{Node: h.node, Operations: h.engine, Keeper: keeper{}, Events: new(node.EventLog), Images: services}).Register(h)
	if err := h.engine.Start(ctx); err != nil {
		h.t.Fatal(err)
	}
	rest := must[http.Handler](h.t)(h.REST(http.HandlerFunc(server.NotFound)))
	forGRPC, forREST := must[net.Listener](h.t)(net.Listen("tcp", "127.0.0.1:0")), must[net.Listener](h.t)(net.Listen("tcp", "127.0.0.1:0"))
	h.rest = "http://" + forREST.Addr().String()
	h.conn = must[*grpc.ClientConn](h.t)(grpc.NewClient(forGRPC.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials())))
	var served sync.WaitGroup
	served.Go(func() {
		if err := h.ServeGRPC(forGRPC, nil); err != nil {
			h.t.Error(err)
		}
	})
	served.Go(func() {
		if err := h.ServeREST(forREST, nil, rest); err != nil {
			h.t.Error(err)
		}
	})
	h.t.Cleanup(func() {
		h.conn.Close()
		http.DefaultClient.CloseIdleConnections()
		if err := h.Shutdown(ctx); err != nil {
			h.t.Error(err)
		}
		served.Wait()
	})
}

// keeper has nothing to look after.
type keeper struct{}

func (keeper) Stat(context.Context) (*blockmillpb.NodeStat, error) {
	return new(blockmillpb.NodeStat), nil
}

func (keeper) Scrub(context.Context, *blockmillpb.ScrubRequest, func(int64, int64)) (*blockmillpb.ScrubReport, error) {
	return new(blockmillpb.ScrubReport), nil
}

func (keeper) CollectGarbage(context.Context, *blockmillpb.CollectGarbageRequest) (*blockmillpb.GarbageReport, error) {
	return new(blockmillpb.GarbageReport), nil
}

// furnish makes one of everything, and an operation.
func (h *house) furnish() {
	h.t.Helper()
	img := must[pool.Image](h.t)(h.node.ReserveImage(pool.Image{Meta: pool.Meta[pool.ImageID]{Folder: "house"}, Family: "family", Pooled: true}))
	content := must[*raw.Image](h.t)(raw.Open(strings.NewReader(strings.Repeat("x", 4096)), 4096))
	must[pool.Image](h.t)(h.node.FillImage(h.t.Context(), img.ID, pool.Filling{Content: content, Format: convert.Raw}))
	h.things = things{folder: "house", in: "house", image: string(img.ID), endpoint: "compute"}
	h.things.disk = h.made("disk").disk
	h.things.snapshot = h.made("snapshot").snapshot
	h.things.operation = h.bind("image", h.things)
	h.bind("disk", h.things)
	h.bind("snapshot", h.things)
}

// made gives the things with another one of a kind, which the bindings are on.
func (h *house) made(kind string) things {
	h.t.Helper()
	t := h.things
	for _, c := range calls() {
		if !strings.HasSuffix(c.method, kindService[kind]+"Create") || len(c.needs) < 2 {
			continue
		}
		op := h.do(c.method, c.request(t))
		m := must[proto.Message](h.t)(op.GetMetadata().UnmarshalNew())
		id := m.(interface{ ProtoReflect() protoreflect.Message }).ProtoReflect()
		made := id.Get(id.Descriptor().Fields().ByName(protoreflect.Name(kind + "_id"))).String()
		switch kind {
		case "image":
			t.image = made
		case "disk":
			t.disk = made
		case "snapshot":
			t.snapshot = made
		}
		h.bind(kind, t)
		return t
	}
	h.t.Fatalf("nothing makes a %s", kind)
	return t
}

var kindService = map[string]string{"image": imageService, "disk": diskService, "snapshot": snapshotService}

// bind puts the bindings on a thing and gives the operation's id.
func (h *house) bind(kind string, t things) string {
	h.t.Helper()
	set := accessCalls(kind, kindService[kind])[1]
	return h.do(set.method, set.request(t)).GetId()
}

// do lets the operator do something and waits for its end.
func (h *house) do(method string, req proto.Message) *opb.Operation {
	h.t.Helper()
	resp, err := h.call(operator, method, req)
	if err != nil {
		h.t.Fatalf("%s: %v", method, err)
	}
	op := must[*opb.Operation](h.t)(h.engine.Wait(h.t.Context(), resp.(*opb.Operation).GetId()))
	if op.GetError() != nil {
		h.t.Fatalf("%s: %v", method, op)
	}
	return op
}

// methods are those that are served, as the reflection tells.
func (h *house) methods() []protoreflect.MethodDescriptor {
	h.t.Helper()
	stream, err := reflectionpb.NewServerReflectionClient(h.conn).ServerReflectionInfo(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	err = stream.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}})
	if err != nil {
		h.t.Fatal(err)
	}
	resp := must[*reflectionpb.ServerReflectionResponse](h.t)(stream.Recv())
	var all []protoreflect.MethodDescriptor
	for _, s := range resp.GetListServicesResponse().GetService() {
		if strings.HasPrefix(s.GetName(), "grpc.") {
			continue
		}
		d := must[protoreflect.Descriptor](h.t)(protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(s.GetName())))
		methods := d.(protoreflect.ServiceDescriptor).Methods()
		for i := range methods.Len() {
			all = append(all, methods.Get(i))
		}
	}
	return all
}

// method gives the descriptor of a method by its name.
func method(name string) protoreflect.MethodDescriptor {
	service, short, _ := strings.Cut(name, "/")
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		panic(err)
	}
	return d.(protoreflect.ServiceDescriptor).Methods().ByName(protoreflect.Name(short))
}

// call calls a method as somebody, "" for nobody. Of a stream it gives the first
// message, if there is one.
func (h *house) call(who, name string, req proto.Message) (proto.Message, error) {
	h.t.Helper()
	ctx, cancel := context.WithCancel(h.t.Context())
	defer cancel()
	if who != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+who)
	}
	m := method(name)
	resp := must[protoreflect.MessageType](h.t)(protoregistry.GlobalTypes.FindMessageByName(m.Output().FullName())).New().Interface()
	if !m.IsStreamingServer() {
		return resp, h.conn.Invoke(ctx, "/"+name, req, resp)
	}
	stream, err := h.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/"+name)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(stream.SendMsg(req), stream.CloseSend()); err != nil {
		return nil, err
	}
	if err = stream.RecvMsg(resp); errors.Is(err, io.EOF) {
		err = nil
	}
	return resp, err
}
