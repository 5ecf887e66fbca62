package operation

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/protobuf/proto"
)

const recordVersion = 1

var errRecord = errors.New("not an operation's record")

// record is an operation in the database.
type record struct {
	Version  int    `json:"version"`
	Seq      uint64 `json:"seq"`
	Kind     string `json:"kind"`
	Folder   string `json:"folder"`
	Resource string `json:"resource"`
	Key      string `json:"key,omitempty"`
	Digest   string `json:"digest"`
	// Operation is the message, marshalled.
	Operation []byte `json:"operation"`
}

// encode writes the record of a job whose operation is op.
func (j *job) encode(op *opb.Operation) ([]byte, error) {
	message, err := proto.Marshal(op)
	if err != nil {
		return nil, err
	}
	return json.Marshal(record{
		Version: recordVersion, Seq: j.seq, Kind: j.kind, Folder: j.folder, Resource: j.resource,
		Key: j.scope.key, Digest: hex.EncodeToString(j.digest[:]), Operation: message,
	})
}

// decode reads a record.
func decode(id string, p []byte) (*job, *opb.Operation, error) {
	var r record
	if err := json.Unmarshal(p, &r); err != nil {
		return nil, nil, fmt.Errorf("read operation %s: %w", id, err)
	}
	digest, err := hex.DecodeString(r.Digest)
	if r.Version != recordVersion || err != nil || len(digest) != 32 {
		return nil, nil, fmt.Errorf("read operation %s: version %d: %w", id, r.Version, errRecord)
	}
	op := new(opb.Operation)
	if err := proto.Unmarshal(r.Operation, op); err != nil {
		return nil, nil, fmt.Errorf("read operation %s: %w", id, err)
	}
	if op.Id != id {
		return nil, nil, fmt.Errorf("read operation %s: holds %q: %w", id, op.Id, errRecord)
	}
	j := &job{
		id: id, seq: r.Seq, kind: r.Kind, folder: r.Folder, resource: r.Resource,
		scope: keyScope{op.CreatedBy, r.Key}, digest: [32]byte(digest), created: op.CreatedAt.AsTime(),
		restored: true,
	}
	return j, op, nil
}
