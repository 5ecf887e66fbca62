package blockiotest

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blockmill/blockmill/blockio"
)

func testNotFound(t *testing.T, v blockio.Volume) {
	_, err := v.Open(t.Context(), "seg/a")
	wantErr(t, "open", err, blockio.ErrNotFound)
	wantErr(t, "remove", v.Remove(t.Context(), "seg/a"), blockio.ErrNotFound)
	put(t, v, "seg/a", []byte("x"))
	if err := v.Remove(t.Context(), "seg/a"); err != nil {
		t.Fatal(err)
	}
	_, err = v.Open(t.Context(), "seg/a")
	wantErr(t, "open what was removed", err, blockio.ErrNotFound)
	wantErr(t, "remove twice", v.Remove(t.Context(), "seg/a"), blockio.ErrNotFound)
	put(t, v, "seg/a", []byte("again"))
	wantObject(t, v, "seg/a", []byte("again"))
}

func testList(t *testing.T, v blockio.Volume) {
	if got := names(t, v, "seg"); got != nil {
		t.Errorf("new volume lists %v", got)
	}
	var want []string
	for i := range 200 {
		name := fmt.Sprintf("seg/%d", (i*37)%200)
		put(t, v, name, make([]byte, i))
		want = append(want, fmt.Sprintf("%s %d", name, i))
	}
	put(t, v, "other/x", nil)
	slices.SortFunc(want, func(a, b string) int {
		return strings.Compare(strings.Fields(a)[0], strings.Fields(b)[0])
	})
	if diff := cmp.Diff(want, names(t, v, "seg")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"other/x 0"}, names(t, v, "other")); diff != "" {
		t.Error(diff)
	}
}

func testListStops(t *testing.T, v blockio.Volume) {
	for i := range 5 {
		put(t, v, fmt.Sprintf("seg/%d", i), nil)
	}
	n := 0
	for _, err := range v.List(t.Context(), "seg") {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 2 {
			break
		}
	}
	// What is listed may be removed on the way.
	for e, err := range v.List(t.Context(), "seg") {
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Remove(t.Context(), e.Name); err != nil {
			t.Fatal(err)
		}
	}
	if got := names(t, v, "seg"); got != nil {
		t.Errorf("left: %v", got)
	}
}

func testOpenAfterRemove(t *testing.T, v blockio.Volume) {
	p := pattern(300_000, 3)
	put(t, v, "seg/a", p)
	o, err := v.Open(t.Context(), "seg/a")
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Remove(t.Context(), "seg/a"); err != nil {
		t.Fatal(err)
	}
	put(t, v, "seg/a", []byte("another"))
	got := make([]byte, len(p))
	if _, err := o.ReadAt(got, 0); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, p) {
		t.Error("an open object changed when it was removed")
	}
	if err := o.Close(); err != nil {
		t.Error(err)
	}
	wantObject(t, v, "seg/a", []byte("another"))
}

func testReadAtEnd(t *testing.T, v blockio.Volume) {
	p := pattern(200_000, 4)
	put(t, v, "seg/a", p)
	o, err := v.Open(t.Context(), "seg/a")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if o.Size() != int64(len(p)) {
		t.Errorf("size %d, want %d", o.Size(), len(p))
	}
	for _, c := range []struct {
		off, n, want int
		err          error
	}{
		{0, len(p), len(p), nil},
		{0, len(p) + 1, len(p), io.EOF},
		{0, 1 << 20, len(p), io.EOF},
		{len(p) - 1, 1, 1, nil},
		{len(p) - 1, 2, 1, io.EOF},
		{len(p), 1, 0, io.EOF},
		{1 << 30, 100, 0, io.EOF},
		{1234, 77_777, 77_777, nil},
	} {
		got := make([]byte, c.n)
		n, err := o.ReadAt(got, int64(c.off))
		if n != c.want || err != c.err {
			// io.ReaderAt leaves nil or io.EOF to the reader when a read
			// ends at the end.
			if n != c.want || c.err != nil || err != io.EOF || c.off+c.n != len(p) {
				t.Errorf("read %d at %d: %d, %v; want %d, %v", c.n, c.off, n, err, c.want, c.err)
			}
		}
		if n > 0 && !bytes.Equal(got[:n], p[c.off:c.off+n]) {
			t.Errorf("read %d at %d: wrong bytes", c.n, c.off)
		}
	}
	if _, err := o.ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("read at -1: no error")
	}
}
