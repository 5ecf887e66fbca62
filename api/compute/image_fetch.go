package compute

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/url"
	"strings"

	computepb "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"

	"github.com/blockmill/blockmill/api/operation"
	"github.com/blockmill/blockmill/api/rules"
	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/convert/fetch"
	"github.com/blockmill/blockmill/pool"
)

// Headers that say what a source must be, in hexadecimal.
const (
	sha256Header = "blockmill-expected-sha256" // of the file
	digestHeader = "blockmill-expected-digest" // of the image
)

// expectation is what the headers of a create say, and an operation keeps.
type expectation struct {
	SHA256 []byte      `json:"sha256,omitempty"`
	Digest *cas.Digest `json:"digest,omitempty"`
}

// expectationOf reads the headers of a create. Only a source that is a file has a
// SHA-256.
func expectationOf(ctx context.Context, file bool) (expectation, error) {
	var e expectation
	var wrong rules.Violations
	if text := header(ctx, sha256Header); text != "" {
		sum, err := hex.DecodeString(text)
		switch {
		case err != nil || len(sum) != sha256.Size:
			wrong.Add(sha256Header, "Value must be 64 hexadecimal digits")
		case !file:
			wrong.Add(sha256Header, "The source is no file, and has no SHA-256; %s is for every source", digestHeader)
		}
		e.SHA256 = sum
	}
	if text := header(ctx, digestHeader); text != "" {
		e.Digest = new(cas.Digest)
		if err := e.Digest.UnmarshalText([]byte(text)); err != nil {
			wrong.Add(digestHeader, "Value must be 64 hexadecimal digits")
		}
	}
	return e, wrong.Err()
}

// encode gives nothing when nothing is expected.
func (e expectation) encode() []byte {
	if e.SHA256 == nil && e.Digest == nil {
		return nil
	}
	p, err := json.Marshal(e)
	if err != nil {
		panic("compute: " + err.Error()) // it has but bytes
	}
	return p
}

func decodeExpectation(p []byte) (e expectation, err error) {
	if len(p) > 0 {
		err = json.Unmarshal(p, &e)
	}
	return e, err
}

// checkSource refuses a source without a name, and an address that is none of a
// file. Whether it may be fetched, and can be, is the operation's to find out.
func checkSource(req *computepb.CreateImageRequest) error {
	switch s := req.GetSource().(type) {
	case *computepb.CreateImageRequest_Uri:
		return checkURI(s.Uri)
	case *computepb.CreateImageRequest_ImageId:
		return checkSourceID("image_id", s.ImageId)
	case *computepb.CreateImageRequest_SnapshotId:
		return checkSourceID("snapshot_id", s.SnapshotId)
	case *computepb.CreateImageRequest_DiskId:
		return checkSourceID("disk_id", s.DiskId)
	}
	return nil
}

// checkSourceID refuses a source that was chosen and has no id.
func checkSourceID(field, id string) error {
	if id == "" {
		return rules.Violation(field, "Field is required")
	}
	return nil
}

func checkURI(uri string) error {
	u, err := url.Parse(uri)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Hostname() == "" || u.User != nil {
		return rules.Violation("uri", "Value must be an https address without user information")
	}
	return nil
}

// signed says whether an address may hold more than everybody may know.
func signed(uri string) bool { return strings.ContainsAny(uri, "?@") }

// redacted is an address as records have it; empty when there is none.
func redacted(uri string) string {
	if uri == "" {
		return ""
	}
	return fetch.Redact(uri)
}

// fetchImage fills a reserved image with the file at an address. When it fails,
// nothing of the image is left but the draft of the operation's id.
func (c *core) fetchImage(ctx context.Context, op *operation.Running, id pool.ImageID, uri string, expected expectation) (img pool.Image, err error) {
	defer c.node.ReleaseImage(id) // unless it is made
	opts := *c.fetch.Load()
	opts.SHA256 = expected.SHA256
	src, err := fetch.Open(ctx, uri, opts)
	if err != nil {
		return pool.Image{}, err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	content, format, err := c.node.OpenSource(src, src.Size())
	if err != nil {
		return pool.Image{}, err
	}
	filling := pool.Filling{Content: content, Format: format, Digest: expected.Digest, Progress: op.Progress, Saved: op.Advanced}
	if pin := src.Pin(); pin != "" { // else nothing says that the rest is of the same file
		filling.Draft, filling.Pin = op.ID(), pin+" as "+string(format)
	}
	if expected.SHA256 != nil {
		verdict, stop := beside(ctx, src.Verify)
		defer stop()
		filling.Verify = func(context.Context) error { return verdict() }
	}
	return c.node.FillImage(ctx, id, filling)
}

// beside begins to compare a file's checksum, beside the import, which needs the
// same bytes. Verdict waits for the result; stop ends it.
func beside(ctx context.Context, verify func(context.Context) error) (verdict func() error, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	var result error
	go func() {
		defer close(done)
		result = verify(ctx)
	}()
	return func() error {
			<-done
			return result
		}, func() {
			cancel()
			<-done
		}
}
