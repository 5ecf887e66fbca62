package compute

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"
	"golang.org/x/sync/errgroup"

	"github.com/blockmill/blockmill/convert/qcow2"
)

// Parts of an upload, in bytes and their number.
const (
	exportPart     = 16 << 20
	maxExportParts = 10_000
	exportThreads  = 4
)

// send puts an image as a qcow2, and then its manifest, whose key it returns: the
// manifest is there when everything is. When it fails, nothing is left.
func (e *exporter) send(ctx context.Context, d destination, content qcow2.Content, m manifest, progress func(done, total int64)) (key string, err error) {
	client, transport, err := e.client(d)
	if err != nil {
		return "", err
	}
	defer transport.CloseIdleConnections()
	view, err := qcow2.NewView(ctx, content)
	if err != nil {
		return "", err
	}
	u := &upload{client: client, bucket: d.bucket, file: d.prefix + d.name + ".qcow2", manifest: d.prefix + d.name + ".json"}
	if err := u.put(ctx, view, m, progress); err != nil {
		return "", errors.Join(storageError(ctx, err), u.undo(ctx))
	}
	return u.manifest, nil
}

// upload is the objects of one export. Their names are of its own.
type upload struct {
	client                 *minio.Client
	bucket, file, manifest string
}

func (u *upload) put(ctx context.Context, view *qcow2.View, m manifest, progress func(done, total int64)) error {
	m.Object = object{Bucket: u.bucket, Key: u.file, Format: "qcow2", Size: view.Size()}
	var sum []byte
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		// A second reading, beside the parts that are sent at once and in no
		// order: a checksum is computed in order.
		sum, err = checksum(gctx, view)
		return err
	})
	g.Go(func() error {
		shared := &sharedReader{from: view}
		defer shared.close()
		_, err := u.client.PutObject(gctx, u.bucket, u.file, io.NewSectionReader(shared, 0, view.Size()), view.Size(), minio.PutObjectOptions{
			ContentType: "application/octet-stream", NumThreads: exportThreads,
			// Not signed piece by piece: some storages keep that as an encoding
			// of the object, which it is not.
			DisableContentSha256: true,
			PartSize:             partSize(view.Size()), Progress: &sent{total: view.Size(), report: progress},
		})
		return err
	})
	if err := g.Wait(); err != nil {
		return err
	}
	m.Object.SHA256 = hex.EncodeToString(sum)
	p, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	_, err = u.client.PutObject(ctx, u.bucket, u.manifest, bytes.NewReader(p), int64(len(p)), minio.PutObjectOptions{ContentType: "application/json"})
	return err
}

// undo removes what a failed export has left.
func (u *upload) undo(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	u.abort(ctx)
	var errs []error
	for _, key := range []string{u.manifest, u.file} {
		err := u.client.RemoveObject(ctx, u.bucket, key, minio.RemoveObjectOptions{})
		if _, answered := errors.AsType[minio.ErrorResponse](err); err != nil && answered {
			errs = append(errs, err) // else the storage is gone, as the caller knows
		}
	}
	return errors.Join(errs...)
}

// abort ends the upload of parts. The client has done so, but parts that were on
// their way may arrive after that, and with some storages bring the upload back:
// it is gone when two looks find nothing of it.
func (u *upload) abort(ctx context.Context) {
	const looks, pause = 20, 50 * time.Millisecond
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for clean, look := 0, 0; clean < 2 && look < looks; look++ {
		clean++
		for o := range u.client.ListIncompleteUploads(ctx, u.bucket, u.file, true) {
			if o.Err != nil { // the storage is gone, or never let anything in
				return
			}
			clean = 0
		}
		if clean == 0 {
			_ = u.client.RemoveIncompleteUpload(ctx, u.bucket, u.file)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func partSize(size int64) uint64 {
	n := (size + maxExportParts - 1) / maxExportParts
	return uint64(max(exportPart, (n+1<<20-1)&^(1<<20-1)))
}

func checksum(ctx context.Context, view *qcow2.View) ([]byte, error) {
	h := sha256.New()
	p := make([]byte, 1<<20)
	for off := int64(0); off < view.Size(); off += int64(len(p)) {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		p = p[:min(int64(len(p)), view.Size()-off)]
		if _, err := view.ReadAt(p, off); err != nil {
			return nil, err
		}
		h.Write(p)
	}
	return h.Sum(nil), nil
}

// sharedReader is a source that may be closed while others read: they read no more
// when close has returned.
type sharedReader struct {
	from io.ReaderAt

	mu     sync.RWMutex
	closed bool // guarded by mu
}

// ReadAt reads as io.ReaderAt says, as long as nobody has closed it.
func (r *sharedReader) ReadAt(p []byte, off int64) (int, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.closed {
		return 0, io.ErrClosedPipe
	}
	return r.from.ReadAt(p, off)
}

func (r *sharedReader) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
}

// sent counts bytes that were sent, as a reader of which the client reads as much
// as it has sent.
type sent struct {
	total  int64
	report func(done, total int64)
	done   atomic.Int64
}

// Read counts.
func (s *sent) Read(p []byte) (int, error) {
	s.report(min(s.done.Add(int64(len(p))), s.total), s.total)
	return len(p), nil
}
