package server

import (
	"context"
	"log/slog"
	"strings"

	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/blockmill/blockmill/api/auth"
)

// readers are the beginnings of the names of methods that change nothing, and let
// nobody use anything either.
var readers = [...]string{"Get", "List", "Watch", "Check", "Stat", "Events", "ServerReflection"}

func isMutation(method string) bool {
	name := method[strings.LastIndexByte(method, '/')+1:]
	for _, prefix := range readers {
		if strings.HasPrefix(name, prefix) {
			return false
		}
	}
	return true
}

// named are the fields of requests that say what is changed. No other is logged:
// addresses and descriptions may hold secrets.
var named = [...]protoreflect.Name{
	"folder_id", "image_id", "disk_id", "snapshot_id", "resource_id", "operation_id", "name", "family",
}

// audit logs a mutation, or its refusal; the request is nil when nobody has read it.
func (s *Server) audit(ctx context.Context, method string, req, resp any, err error) {
	if !isMutation(method) {
		return
	}
	subject, _ := auth.FromContext(ctx)
	attrs := []slog.Attr{
		slog.String("method", strings.TrimPrefix(method, "/")), slog.String("subject", subject.ID),
		slog.String("code", status.Code(err).String()),
	}
	if p, ok := peer.FromContext(ctx); ok && p.Addr != nil {
		attrs = append(attrs, slog.String("peer", p.Addr.String()))
	}
	if m, ok := req.(proto.Message); ok {
		attrs = append(attrs, namesIn(m)...)
	}
	if op, ok := resp.(*opb.Operation); ok && op != nil {
		attrs = append(attrs, slog.String("operation", op.Id))
	}
	s.opts.Logger.LogAttrs(ctx, slog.LevelInfo, "audit", attrs...)
}

func namesIn(m proto.Message) []slog.Attr {
	var attrs []slog.Attr
	r := m.ProtoReflect()
	for _, name := range named {
		f := r.Descriptor().Fields().ByName(name)
		if f == nil || f.Kind() != protoreflect.StringKind || f.IsList() || !r.Has(f) {
			continue
		}
		text := r.Get(f).String()
		if len(text) > 100 {
			text = text[:100] + "…"
		}
		attrs = append(attrs, slog.String(string(name), text))
	}
	return attrs
}
