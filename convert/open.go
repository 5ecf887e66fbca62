package convert

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/convert/badimage"
	"github.com/blockmill/blockmill/convert/qcow2"
	"github.com/blockmill/blockmill/convert/raw"
	"github.com/blockmill/blockmill/convert/vmdk"
)

// OpenOptions say how Open takes a source; the zero value works.
type OpenOptions struct {
	// Extents are the further files of an image in several files, whose
	// source is its text descriptor. They are found by the names that they
	// come with; nothing else is looked for.
	Extents []Extent
	// MaxSize is the largest virtual size that is taken; 0 leaves it to the
	// format.
	MaxSize int64
	// UnsignedRaw takes a source as raw, when no format is declared, that is
	// a whole number of sectors and bears no signature but what a guest may
	// have put there.
	UnsignedRaw bool
	// Arena lends readers the memory for compressed data while it has some
	// to spare; they never wait for it. Without one they have a little of
	// their own.
	Arena *blockio.Arena
}

// Extent is a further file of an image: of a VMDK in several files.
type Extent = vmdk.ExtentSource

// Open opens an image of the declared format, or of the one that is detected
// when none is declared. The format that it returns is to be
// remembered with the image, which is never probed again. What Open refuses is
// a badimage.Error; the image's whole-file check is still to be done.
func Open(src io.ReaderAt, size int64, format Format, opts OpenOptions) (Image, Format, error) {
	found, err := find(src, size)
	if err != nil {
		return nil, "", fmt.Errorf("look for signatures: %w", err)
	}
	if isDescriptor(found) && len(opts.Extents) > 0 && (format == "" || format == VMDK) {
		img, err := vmdk.OpenDescriptor(src, size, opts.Extents, vmdk.Options{MaxSize: opts.MaxSize, Arena: opts.Arena})
		return given(img, VMDK, err)
	}
	if len(opts.Extents) > 0 {
		return nil, "", ErrExtents
	}
	unsigned := format == "" && opts.UnsignedRaw && isUnsigned(found)
	switch {
	case unsigned && size > 0 && size%512 == 0:
		format = Raw
	case unsigned:
		err = badimage.Unsupported("image", "size", badimage.NoOffset, badimage.Int(size),
			"the signature of qcow2 or vmdk, or for a raw image a length that is a multiple of 512")
	case format == "":
		format, err = detect(found, size)
	default:
		err = verify(found, size, format)
	}
	if err != nil {
		return nil, "", err
	}
	switch format {
	case Raw:
		img, err := raw.Open(src, size)
		return given(img, format, err)
	case QCOW2:
		img, err := qcow2.Open(src, size, qcow2.Options{MaxSize: opts.MaxSize, Arena: opts.Arena})
		return given(img, format, err)
	case VMDK:
		img, err := vmdk.Open(src, size, vmdk.Options{MaxSize: opts.MaxSize, Arena: opts.Arena})
		return given(img, format, err)
	}
	return nil, "", fmt.Errorf("%w %q", ErrFormat, format)
}

// ErrExtents says that extents were given to an image that has none.
var ErrExtents = errors.New("extents are given, and the image is no VMDK text descriptor")

// given turns what a format's Open returned into what Open returns, without
// the trap of an interface that holds a nil pointer.
func given[T Image](img T, format Format, err error) (Image, Format, error) {
	if err != nil {
		return nil, "", err
	}
	return img, format, nil
}

// isUnsigned says whether a source may be raw although nobody said so, if its
// length is one.
func isUnsigned(found []signature) bool {
	return !slices.ContainsFunc(found, func(s signature) bool { return s.class != content })
}

// isDescriptor says whether the one signature is that of a VMDK text
// descriptor.
func isDescriptor(found []signature) bool {
	return len(found) == 1 && found[0].name == vmdkDescriptor
}

// detect tells the one format whose signature the source bears. A source that
// bears none, several, or that of something that cannot be read is refused by
// name (badimage). Raw is never detected: it has no signature.
func detect(found []signature, size int64) (Format, error) {
	switch len(found) {
	case 0:
		return "", badimage.Unsupported("image", "format", 0, "no known signature",
			"qcow2 or vmdk, or raw when it is declared")
	case 1:
		return found[0].readable(size)
	}
	return "", ambiguous(found)
}

// verify holds a declared format against the signatures that were found. A
// raw image may begin with what guests put there, and with nothing that some
// reader would take for a container.
func verify(found []signature, size int64, declared Format) error {
	for _, sig := range found {
		if sig.format == declared || declared == Raw && sig.class == content {
			continue
		}
		if len(found) > 1 && declared != Raw {
			return ambiguous(found)
		}
		return badimage.Unsupported(string(declared), "signature", sig.offset(size), sig.name,
			"no other format than the declared one")
	}
	if declared != Raw && len(found) == 0 {
		return badimage.Corrupt(string(declared), "magic", 0, "no known signature", "that of "+string(declared))
	}
	return nil
}
