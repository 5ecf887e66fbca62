package convert_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/blockmill/blockmill/convert"
	"github.com/blockmill/blockmill/convert/badimage"
)

// file makes a file of the given size with marks at their places.
func file(size int, marks map[int]string) []byte {
	p := make([]byte, size)
	for at, mark := range marks {
		copy(p[at:], mark)
	}
	return p
}

func TestDetect(t *testing.T) {
	const size = 64 << 10
	tests := []struct {
		name  string
		file  []byte
		want  convert.Format
		names string // words of the refusal
	}{
		{"qcow2", file(size, map[int]string{0: "QFI\xfb\x00\x00\x00\x03"}), convert.QCOW2, ""},
		{"vmdk", file(size, map[int]string{0: "KDMV\x01"}), convert.VMDK, ""},
		{"nothing", file(size, nil), "", "no known signature"},
		{"empty", nil, "", "no known signature"},
		{"mbr", file(size, map[int]string{510: "\x55\xaa"}), "", "raw when it is declared"},
		{"iso", file(size, map[int]string{0x8001: "CD001"}), "", "iso"},
		{"luks", file(size, map[int]string{0: "LUKS\xba\xbe"}), "", "luks"},
		{"vhd", file(size, map[int]string{size - 512: "conectix"}), "", "vhd"},
		{"vhdx", file(size, map[int]string{0: "vhdxfile"}), "", "vhdx"},
		{"vdi", file(size, map[int]string{0x40: "\x7f\x10\xda\xbe"}), "", "vdi"},
		{"cowd", file(size, map[int]string{0: "COWD"}), "", "COWD"},
		{"sesparse", file(size, map[int]string{0: "\xbe\xba\xfe\xca\x00\x00\x00\x00"}), "", "SESparse"},
		{"gzip", file(size, map[int]string{0: "\x1f\x8b\x08\x00"}), "", "gzip"},
		{"xz", file(size, map[int]string{0: "\xfd7zXZ\x00"}), "", "xz"},
		{"zip", file(size, map[int]string{0: "PK\x03\x04"}), "", "zip"},
		{"bzip2", file(size, map[int]string{0: "BZh91AY"}), "", "bzip2"},
		{"zstd", file(size, map[int]string{0: "\x28\xb5\x2f\xfd"}), "", "zstd"},
		{"tar", file(size, map[int]string{257: "ustar\x0000"}), "", "tar"},
		{"descriptor", []byte("# Disk DescriptorFile\nversion=1\n"), "", "text descriptor"},
		{"descriptor in small letters", []byte("# disk descriptorfile\nCID=1\n"), "", "text descriptor"},
		{"descriptor after comments", []byte("# a\n#\n \r\n\nversion=1\n"), "", "text descriptor"},
		{"descriptor without comments", file(size, map[int]string{0: "version=3\r\n"}), "", "text descriptor"},
		{"descriptor with spaces", file(size, map[int]string{0: "#\n\tVersion = 1\n"}), "", "text descriptor"},
		{"comments alone", file(size, map[int]string{0: "#!/bin/sh\necho version=1\n"}), "", "no known signature"},
		{"version far away", file(size, map[int]string{0: strings.Repeat("#\n", 1<<10) + "version=1\n"}), "", "no known signature"},
		{"two heads", file(size, map[int]string{0: "QFI\xfb", 0x40: "\x7f\x10\xda\xbe"}), "", "qcow2 and vdi"},
		{"head and tail", file(size, map[int]string{0: "KDMV", size - 512: "conectix"}), "", "vmdk and vhd"},
		{"qcow2 and iso", file(size, map[int]string{0: "QFI\xfb", 0x8001: "CD001"}), "", "qcow2 and iso"},
		{"short", []byte("QFI"), "", "no known signature"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := convert.Detect(bytes.NewReader(tt.file), int64(len(tt.file)))
			if got != tt.want {
				t.Errorf("format %q, want %q", got, tt.want)
			}
			if tt.names == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, badimage.ErrUnsupported) || !strings.Contains(err.Error(), tt.names) {
				t.Errorf("error %v, want it unsupported and to name %q", err, tt.names)
			}
		})
	}
}

// A declared format must be the file's only one.
func TestOpenDeclared(t *testing.T) {
	const size = 64 << 10
	tests := []struct {
		name    string
		declare convert.Format
		file    []byte
		refused bool
	}{
		{"raw", convert.Raw, file(size, map[int]string{510: "\x55\xaa"}), false},
		{"raw with an iso", convert.Raw, file(size, map[int]string{0x8001: "CD001"}), false},
		{"raw that is qcow2", convert.Raw, file(size, map[int]string{0: "QFI\xfb"}), true},
		{"raw that is vhd", convert.Raw, file(size, map[int]string{size - 512: "conectix"}), true},
		{"raw that is gzip", convert.Raw, file(size, map[int]string{0: "\x1f\x8b\x08"}), true},
		{"raw that is a descriptor", convert.Raw, file(size, map[int]string{0: "# Disk DescriptorFile"}), true},
		{"raw that is a descriptor for QEMU", convert.Raw, file(size, map[int]string{0: "#\nversion=1\n"}), true},
		{"no format, a descriptor for QEMU", "", file(size, map[int]string{0: "#\nversion=1\n"}), true},
		{"qcow2 that is nothing", convert.QCOW2, file(size, nil), true},
		{"qcow2 that is vmdk", convert.QCOW2, file(size, map[int]string{0: "KDMV"}), true},
		{"vmdk that is qcow2 too", convert.VMDK, file(size, map[int]string{0: "KDMV", 0x40: "\x7f\x10\xda\xbe"}), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			img, format, err := convert.Open(bytes.NewReader(tt.file), int64(len(tt.file)), tt.declare, convert.OpenOptions{UnsignedRaw: true})
			if tt.refused != badimage.Is(err) {
				t.Fatalf("error %v, want a refusal: %v", err, tt.refused)
			}
			if err == nil && (format != tt.declare || img.Size() != size) {
				t.Errorf("format %s of %d bytes", format, img.Size())
			}
		})
	}
}

// TestUnsignedRaw gives sources that may be raw although nobody says so.
func TestUnsignedRaw(t *testing.T) {
	for _, tt := range []struct {
		name string
		file []byte
		want string // words of the refusal; empty when it is taken
	}{
		{"whole sectors", file(1024, nil), ""},
		{"boot sector", file(1024, map[int]string{510: "\x55\xaa"}), ""},
		{"part of a sector", file(1000, nil), "size: 1000, want the signature of qcow2 or vmdk, or for a raw image a length that is a multiple of 512"},
		{"boot sector and a part", file(1000, map[int]string{510: "\x55\xaa"}), "multiple of 512"},
		{"empty", nil, "multiple of 512"},
		{"packed", file(1000, map[int]string{0: "\x1f\x8b\x08\x00"}), "gzip"},
	} {
		_, format, err := convert.Open(bytes.NewReader(tt.file), int64(len(tt.file)), "", convert.OpenOptions{UnsignedRaw: true})
		if tt.want == "" && (err != nil || format != convert.Raw) || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %q, %v, want %q", tt.name, format, err, tt.want)
		}
	}
}
