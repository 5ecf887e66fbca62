package server

import (
	"context"
	"fmt"
	"net"
	"regexp"

	"github.com/yandex-cloud/go-genproto/yandex/cloud/endpoint"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/blockmill/blockmill/api/auth"
	"github.com/blockmill/blockmill/api/rules"
)

// Endpoints serves yandex.cloud.endpoint.ApiEndpointService: every service is
// here, at the address that the client has used.
type Endpoints struct {
	endpoint.UnimplementedApiEndpointServiceServer
	// Address is told instead, when it is set.
	Address string
	// Default is told to clients that came by REST or a local socket.
	Default func() string
}

// services are the ids under which clients look for what is here.
var services = [...]string{"compute", "endpoint", "iam", "operation", "resource-manager"}

// List lists the services.
func (e *Endpoints) List(ctx context.Context, _ *endpoint.ListApiEndpointsRequest) (*endpoint.ListApiEndpointsResponse, error) {
	resp := new(endpoint.ListApiEndpointsResponse)
	address := e.address(ctx)
	for _, id := range services {
		resp.Endpoints = append(resp.Endpoints, &endpoint.ApiEndpoint{Id: id, Address: address})
	}
	return resp, nil
}

// Get gives one of the services.
func (e *Endpoints) Get(ctx context.Context, req *endpoint.GetApiEndpointRequest) (*endpoint.ApiEndpoint, error) {
	if err := rules.Check(req); err != nil {
		return nil, err
	}
	for _, id := range services {
		if id == req.GetApiEndpointId() {
			return &endpoint.ApiEndpoint{Id: id, Address: e.address(ctx)}, nil
		}
	}
	return nil, status.Error(codes.NotFound, fmt.Sprintf("endpoint %q: not found", req.GetApiEndpointId()))
}

var authority = regexp.MustCompile(`^[-.:_a-zA-Z0-9\[\]]{1,255}$`)

func (e *Endpoints) address(ctx context.Context) string {
	if e.Address != "" {
		return e.Address
	}
	if _, rest := ctx.Value(peerKey{}).(auth.Peer); !rest && overTCP(ctx) {
		md, _ := metadata.FromIncomingContext(ctx)
		for _, a := range md.Get(":authority") {
			if authority.MatchString(a) {
				return a
			}
		}
	}
	if e.Default == nil {
		return ""
	}
	return e.Default()
}

func overTCP(ctx context.Context) bool {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return false
	}
	_, ok = p.Addr.(*net.TCPAddr)
	return ok
}
