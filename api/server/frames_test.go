package server

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2"
)

// FuzzFrames finds the frames of bytes that come in pieces, and compares them with
// what golang.org/x/net finds.
func FuzzFrames(f *testing.F) {
	var b bytes.Buffer
	w := http2.NewFramer(&b, nil)
	for _, err := range []error{
		w.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize}),
		w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x82}, EndHeaders: true}),
		w.WriteData(1, true, make([]byte, 300)),
		w.WriteRSTStream(1, http2.ErrCodeCancel),
		w.WriteData(3, false, nil),
	} {
		if err != nil {
			f.Fatal(err)
		}
	}
	f.Add(b.Bytes(), uint8(1))
	f.Add(b.Bytes(), uint8(200))
	f.Fuzz(func(t *testing.T, p []byte, piece uint8) {
		var got []frame
		var s frameScanner
		for rest := p; len(rest) > 0; {
			n := min(int(piece)+1, len(rest))
			s.scan(rest[:n], func(f frame) { got = append(got, f) })
			rest = rest[n:]
		}
		var want []frame
		for r := bytes.NewReader(p); ; {
			h, err := http2.ReadFrameHeader(r)
			if err != nil {
				break
			}
			want = append(want, frame{int(h.Length), byte(h.Type), byte(h.Flags), h.StreamID})
			if _, err := r.Seek(int64(h.Length), 1); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(frame{})); diff != "" {
			t.Error(diff)
		}
	})
}
