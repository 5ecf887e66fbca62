package qcow2

import (
	"errors"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
)

// compressor compresses clusters, for one goroutine at a time.
type compressor interface {
	// compress appends the stream of a cluster to dst, which has room for it.
	// It is false when that is no shorter than the cluster.
	compress(dst, cluster []byte) ([]byte, bool, error)
}

// deflateWindow is how far back a stream may refer: QEMU decodes with a window
// of 12 bits.
const deflateWindow = 4 << 10

func newCompressor(c Compression) (compressor, error) {
	if c == Zstd {
		enc, err := zstd.NewWriter(nil,
			zstd.WithEncoderConcurrency(1),
			zstd.WithEncoderLevel(zstd.SpeedFastest),
			zstd.WithEncoderCRC(false),
			zstd.WithLowerEncoderMem(true),
			zstd.WithWindowSize(1<<maxClusterBits))
		return zstdCompressor{enc}, err
	}
	z := new(deflateCompressor)
	var err error
	z.w, err = flate.NewWriterWindow(&z.out, deflateWindow)
	return z, err
}

type deflateCompressor struct {
	w   *flate.Writer
	out boundedBuffer
}

func (z *deflateCompressor) compress(dst, cluster []byte) ([]byte, bool, error) {
	z.out = boundedBuffer{p: dst, limit: len(dst) + len(cluster) - 1}
	z.w.Reset(&z.out)
	_, err := z.w.Write(cluster)
	if err == nil {
		err = z.w.Close()
	}
	out := z.out.p
	z.out.p = nil
	switch {
	case errors.Is(err, errFull):
		return dst, false, nil
	case err != nil:
		return dst, false, err
	}
	return out, true, nil
}

var errFull = errors.New("no room")

// boundedBuffer takes bytes up to a length of limit.
type boundedBuffer struct {
	p     []byte
	limit int
}

func (b *boundedBuffer) Write(p []byte) (int, error) {
	if len(p) > b.limit-len(b.p) {
		return 0, errFull
	}
	b.p = append(b.p, p...)
	return len(p), nil
}

type zstdCompressor struct{ enc *zstd.Encoder }

func (z zstdCompressor) compress(dst, cluster []byte) ([]byte, bool, error) {
	out := z.enc.EncodeAll(cluster, dst)
	if len(out)-len(dst) >= len(cluster) {
		return dst, false, nil
	}
	return out, true, nil
}
