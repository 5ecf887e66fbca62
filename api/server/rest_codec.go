package server

import (
	"connectrpc.com/connect"
	"connectrpc.com/vanguard"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// restBuffer bounds a response in memory: the longest page of a list.
const restBuffer = 32 << 20

// jsonCodec writes JSON as the public API's documentation shows it, with the
// values of fields that are zero, and refuses names that it does not know.
func jsonCodec(res vanguard.TypeResolver) vanguard.Codec {
	return codec{vanguard.JSONCodec{
		MarshalOptions:   protojson.MarshalOptions{Resolver: res, EmitDefaultValues: true},
		UnmarshalOptions: protojson.UnmarshalOptions{Resolver: res},
	}}
}

// codec says of what it cannot read that the client is to blame.
type codec struct{ vanguard.JSONCodec }

// Unmarshal is of vanguard.Codec.
func (c codec) Unmarshal(p []byte, m proto.Message) error {
	return invalid(c.JSONCodec.Unmarshal(p, m))
}

// UnmarshalField is of vanguard.RESTCodec.
func (c codec) UnmarshalField(p []byte, m proto.Message, f protoreflect.FieldDescriptor) error {
	return invalid(c.JSONCodec.UnmarshalField(p, m, f))
}

func invalid(err error) error {
	if err == nil {
		return nil
	}
	return connect.NewError(connect.CodeInvalidArgument, err)
}
