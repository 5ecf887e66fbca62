package qcow2

import (
	"errors"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/blockmill/blockmill/convert/inflate"
)

// errShortCluster says that compressed data ends before its cluster is full.
var errShortCluster = errors.New("less than a cluster of data")

// decoder decodes compressed clusters; it is safe for concurrent use.
type decoder interface {
	// decode fills dst from a stream at the beginning of src. The stream
	// must hold exactly that much; what follows it is ignored.
	decode(dst, src []byte) error
}

func newDecoder(compressionType uint8) decoder {
	if compressionType == compressionZstd {
		return new(zstdDecoder)
	}
	return zlibDecoder{}
}

// zlibDecoder decodes what the specification calls zlib: a raw deflate
// stream without header and checksum.
type zlibDecoder struct{}

func (zlibDecoder) decode(dst, src []byte) error {
	n, _, err := inflate.Raw(dst, src)
	if err == nil && n < len(dst) {
		err = errShortCluster
	}
	return err
}

// zstdDecoder decodes one or more zstd frames.
type zstdDecoder struct {
	pool sync.Pool // of *zstd.Decoder
}

func (d *zstdDecoder) decode(dst, src []byte) error {
	dec, ok := d.pool.Get().(*zstd.Decoder)
	if !ok {
		var err error
		dec, err = zstd.NewReader(nil,
			zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxZstdWindow),
			zstd.WithDecodeAllCapLimit(true))
		if err != nil {
			return err
		}
	}
	defer d.pool.Put(dec)
	for n := 0; n < len(dst); {
		frame, err := zstdFrame(src)
		if err != nil {
			return err
		}
		out, err := dec.DecodeAll(src[:frame], dst[n:n:len(dst)])
		if err != nil {
			return err
		}
		n += len(out)
		src = src[frame:]
	}
	return nil
}
