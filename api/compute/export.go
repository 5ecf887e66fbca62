package compute

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/s3utils"
	computepb "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/blockmill/blockmill/api/rules"
	"github.com/blockmill/blockmill/convert/fetch"
)

// ExportOptions say where images are exported to. Where the guard of
// Options.Fetch lets nobody fetch from, nobody exports to either.
type ExportOptions struct {
	// Buckets are those that the node has keys for: requests that name one of
	// them need none.
	Buckets []ExportBucket
}

// ExportBucket is a bucket of an S3-compatible storage and its keys.
type ExportBucket struct {
	Endpoint, Region, Bucket     string
	AccessKeyID, SecretAccessKey string
}

// exporter sends files to storages.
type exporter struct {
	opts  ExportOptions
	fetch func() *fetch.Options
}

// exportRequest is what the export requests of all kinds have.
type exportRequest interface {
	GetDestination() *computepb.ExportDestination
	GetCredentials() *computepb.ExportS3Credentials
}

// destination is where an export goes, and with which keys.
type destination struct {
	endpoint *url.URL
	region   string
	bucket   string
	prefix   string
	name     string // of the objects, after the prefix; set when they are sent
	keys     *credentials.Credentials
}

// destination reads a request: its violations are the request's.
func (e *exporter) destination(req exportRequest) (destination, error) {
	var wrong rules.Violations
	to, keys := req.GetDestination(), req.GetCredentials()
	d := destination{region: to.GetRegion(), bucket: to.GetBucket(), prefix: to.GetPrefix()}
	endpoint := to.GetEndpoint()
	if keys != nil {
		d.keys = credentials.NewStaticV4(keys.GetAccessKeyId(), keys.GetSecretAccessKey(), "")
	} else if own, ok := e.own(to); ok {
		d.keys = credentials.NewStaticV4(own.AccessKeyID, own.SecretAccessKey, "")
		endpoint = own.Endpoint
		if d.region == "" {
			d.region = own.Region
		}
	} else {
		wrong.Add("credentials", "Field is required: the node has no keys for this bucket")
	}
	if err := s3utils.CheckValidBucketName(d.bucket); err != nil {
		wrong.Add("destination.bucket", "%v", err)
	}
	if err := s3utils.CheckValidObjectName(d.prefix + strings.Repeat("x", exportName)); err != nil {
		wrong.Add("destination.prefix", "Keys that begin so are not valid: %v", err)
	}
	if d.region == "" {
		d.region = "us-east-1" // which storages without regions take
	}
	var err error
	d.endpoint, err = url.Parse(endpoint)
	if err != nil || !e.allows(d.endpoint) {
		wrong.Add("destination.endpoint", "Value must be the https address of a storage, without path and user information")
	}
	return d, wrong.Err()
}

// exportName is the most that the key of an object has behind the prefix, in bytes:
// two ids and a suffix.
const exportName = 128

// own finds the bucket of a request among those that the node has keys for.
func (e *exporter) own(to *computepb.ExportDestination) (ExportBucket, bool) {
	for _, b := range e.opts.Buckets {
		if b.Bucket == to.GetBucket() && (to.GetEndpoint() == "" || to.GetEndpoint() == b.Endpoint) {
			return b, true
		}
	}
	return ExportBucket{}, false
}

func (e *exporter) allows(u *url.URL) bool {
	return (u.Scheme == "https" || u.Scheme == "http" && e.fetch().Guard.AllowHTTP) &&
		u.Hostname() != "" && u.User == nil && strings.Trim(u.Path, "/") == "" && u.RawQuery == ""
}

// headerTimeout is how long a storage may take to answer, once it has taken what it
// was sent: it may have parts to put together.
const headerTimeout = 5 * time.Minute

// client makes a client of the storage; the transport is closed by the caller.
func (e *exporter) client(d destination) (*minio.Client, *http.Transport, error) {
	opts := *e.fetch()
	transport, err := fetch.NewTransport(opts)
	if err != nil {
		return nil, nil, err
	}
	transport.ResponseHeaderTimeout = headerTimeout
	transport.DialContext = storageDial(transport.DialContext, cmp.Or(opts.IdleTimeout, sendTimeout))
	c, err := minio.New(d.endpoint.Host, &minio.Options{
		Creds: d.keys, Secure: d.endpoint.Scheme == "https", Region: d.region,
		Transport: transport, MaxRetries: 5,
	})
	return c, transport, err
}

// storageError tells of what a storage said, or that it could not be reached.
func storageError(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); err == nil || cause != nil {
		return cause
	}
	if errors.Is(err, fetch.ErrForbidden) {
		return err
	}
	said, ok := errors.AsType[minio.ErrorResponse](err)
	switch {
	case !ok:
		return grpcstatus.Errorf(codes.Unavailable, "the storage cannot be reached: %v", err)
	case said.StatusCode >= 500:
		return grpcstatus.Errorf(codes.Unavailable, "the storage failed: %s: %s", said.Code, said.Message)
	}
	return grpcstatus.Errorf(codes.FailedPrecondition, "the storage refused: %s: %s", said.Code, said.Message)
}
