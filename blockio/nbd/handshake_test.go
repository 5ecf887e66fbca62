package nbd_test

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blockmill/blockmill/blockio/nbd"
)

func TestGo(t *testing.T) {
	exports := nbd.List{
		{Listing: nbd.Listing{Name: "a", Description: "the first"}, Device: newMemory(1 << 20), PreferredBlock: 100 << 10},
		{Listing: nbd.Listing{Name: "b"}, Device: newMemory(5), ReadOnly: true},
	}
	_, dial := start(t, exports, nbd.Options{MaxRequest: 1 << 20}, nbd.Security{})
	for _, tt := range []struct {
		name     string
		readOnly bool
		want     []string
	}{
		{"", false, []string{"0: 100000 0d6d", "3: 1 10000 100000", "2 the first", "1 a"}},
		{"a", false, []string{"0: 100000 0d6d", "3: 1 10000 100000", "2 the first", "1 a"}},
		{"b", true, []string{"0: 5 0507", "3: 1 1000 100000", "1 b"}},
	} {
		c := dial()
		c.greet()
		for _, opt := range []uint32{optInfo, optGo} {
			rep, infos := c.ask(opt, be(name(tt.name), uint16(3), uint16(2), uint16(77), uint16(1)))
			if rep != repAck {
				t.Fatalf("%q: %#x", tt.name, rep)
			}
			var got []string
			for _, p := range infos {
				got = append(got, describe(p))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%q, option %d (-want +got):\n%s", tt.name, opt, diff)
			}
		}
		if a := c.do(0, cmdRead, 0, 5, nil); a.errno != 0 {
			t.Errorf("%q: read: error %d", tt.name, a.errno)
		}
	}
}

// describe prints an information of an export.
func describe(p []byte) string {
	kind := binary.BigEndian.Uint16(p)
	switch u32 := binary.BigEndian.Uint32; kind {
	case 0:
		return fmt.Sprintf("0: %x %04x", binary.BigEndian.Uint64(p[2:]), p[10:])
	case 3:
		return fmt.Sprintf("3: %x %x %x", u32(p[2:]), u32(p[6:]), u32(p[10:]))
	}
	return fmt.Sprintf("%d %s", kind, p[2:])
}

func TestExportName(t *testing.T) {
	_, dial := start(t, exportOf(newMemory(1<<20), true), nbd.Options{}, nbd.Security{})
	for _, noZeroes := range []bool{false, true} {
		c := dial()
		c.read(18)
		flags, zeroes := uint32(1), 124
		if noZeroes {
			flags, zeroes = 3, 0
		}
		c.write(be(flags))
		c.option(optExportName, []byte("disk"))
		p := c.read(10 + zeroes)
		if size := binary.BigEndian.Uint64(p); size != 1<<20 {
			t.Errorf("size %d", size)
		}
		if a := c.do(0, cmdRead, 0, 1<<20, nil); a.errno != 0 {
			t.Errorf("read: error %d", a.errno)
		}
	}
	c := dial()
	c.greet()
	c.option(optExportName, []byte("none"))
	if err := c.ended(); err != nil {
		t.Errorf("an unknown export: %v", err)
	}
}

func TestList(t *testing.T) {
	exports := nbd.List{
		{Listing: nbd.Listing{Name: "a", Description: "the first"}, Device: newMemory(1)},
		{Listing: nbd.Listing{Name: "b"}, Device: newMemory(1)},
	}
	_, dial := start(t, exports, nbd.Options{}, nbd.Security{})
	c := dial()
	c.greet()
	rep, entries := c.ask(optList, nil)
	if rep != repAck || len(entries) != 2 || string(entries[0]) != "\x00\x00\x00\x01athe first" {
		t.Errorf("%#x, %q", rep, entries)
	}
	if rep, _ := c.ask(optAbort, nil); rep != repAck {
		t.Errorf("abort: %#x", rep)
	}
	if err := c.ended(); err != nil {
		t.Errorf("after an abort: %v", err)
	}
}

func TestRefusedOptions(t *testing.T) {
	_, dial := start(t, exportOf(newMemory(1<<20), true), nbd.Options{}, nbd.Security{})
	c := dial()
	c.greet()
	long := strings.Repeat("x", 5000)
	for _, tt := range []struct {
		what string
		opt  uint32
		data []byte
		want uint32
	}{
		{"an unknown one", 99, []byte("data"), repUnsup},
		{"one that is too long", 99, make([]byte, 65<<10), repTooBig},
		{"a list with data", optList, []byte{1}, repInvalid},
		{"structured replies with data", optStructured, []byte{1}, repInvalid},
		{"TLS, which is not configured", optStartTLS, nil, repPolicy},
		{"go without a name", optGo, []byte{1, 2}, repInvalid},
		{"go with a name that is longer than the option", optGo, be(uint32(1<<31), "a", uint16(0)), repInvalid},
		{"go with fewer kinds than it says", optGo, be(name("disk"), uint16(2), uint16(1)), repInvalid},
		{"go with more kinds than it says", optInfo, be(name("disk"), uint16(0), uint16(1)), repInvalid},
		{"go to what is not there", optGo, be(name("none"), uint16(0)), repUnknown},
		{"info of a name that is too long", optInfo, be(name(long), uint16(0)), repUnknown},
		{"contexts without structured replies", optSetMeta, be(name("disk"), uint32(0)), repInvalid},
		{"structured replies", optStructured, nil, repAck},
		{"structured replies again", optStructured, nil, repInvalid},
		{"contexts of what is not there", optListMeta, be(name("none"), uint32(0)), repUnknown},
		{"contexts with fewer queries than said", optListMeta, be(name("disk"), uint32(1<<31)), repInvalid},
		{"contexts with more data than said", optListMeta, be(name("disk"), uint32(0), uint8(1)), repInvalid},
		{"go after all that", optGo, be(name("disk"), uint16(0)), repAck},
	} {
		if rep, _ := c.ask(tt.opt, tt.data); rep != tt.want {
			t.Errorf("%s: %#x, want %#x", tt.what, rep, tt.want)
		}
	}
}

func TestMetaContexts(t *testing.T) {
	_, dial := start(t, exportOf(newMemory(1<<20), true), nbd.Options{}, nbd.Security{})
	context := func(id uint32) string { return string(be(id, "base:allocation")) }
	for _, tt := range []struct {
		opt     uint32
		queries []string
		want    []string
	}{
		{optListMeta, nil, []string{context(1)}},
		{optListMeta, []string{"base:"}, []string{context(1)}},
		{optListMeta, []string{"other:", "base:allocation"}, []string{context(1)}},
		{optListMeta, []string{"other:"}, nil},
		{optSetMeta, nil, nil},
		{optSetMeta, []string{"base:"}, nil},
		{optSetMeta, []string{"x", "base:allocation", "base:allocation"}, []string{context(1)}},
	} {
		c := dial()
		c.greet()
		c.ask(optStructured, nil)
		c.structured = true
		data := be(name("disk"), uint32(len(tt.queries)))
		for _, q := range tt.queries {
			data = append(data, name(q)...)
		}
		rep, infos := c.ask(tt.opt, data)
		var got []string
		for _, p := range infos {
			got = append(got, string(p))
		}
		if diff := cmp.Diff(tt.want, got); diff != "" || rep != repAck {
			t.Errorf("option %d, %q: %#x (-want +got):\n%s", tt.opt, tt.queries, rep, diff)
		}
		// Only what was set for this very export holds.
		c.ask(optGo, be(name("disk"), uint16(0)))
		wantErrno := eInval
		if tt.opt == optSetMeta && tt.want != nil {
			wantErrno = 0
		}
		if a := c.do(0, cmdStatus, 0, page, nil); a.errno != wantErrno {
			t.Errorf("option %d, %q: status: error %d, want %d", tt.opt, tt.queries, a.errno, wantErrno)
		}
	}
	c := dial()
	c.greet()
	c.ask(optStructured, nil)
	c.structured = true
	c.ask(optSetMeta, be(name("disk"), uint32(1), name("base:allocation")))
	c.ask(optGo, be(name(""), uint16(0)))
	if a := c.do(0, cmdStatus, 0, page, nil); a.errno != eInval {
		t.Errorf("status of another export than it was set for: error %d", a.errno)
	}
}

func TestBrokenHandshakes(t *testing.T) {
	_, dial := start(t, exportOf(newMemory(1<<20), true), nbd.Options{}, nbd.Security{})
	for what, p := range map[string][]byte{
		"unknown flags":                  be(uint32(1 << 5)),
		"no fixed newstyle":              be(uint32(0)),
		"an option without its magic":    be(uint32(3), "IHAVEOPS", uint64(0)),
		"an option of 4 GiB":             be(uint32(3), "IHAVEOPT", uint32(optGo), uint32(1<<32-1)),
		"an export's name of 100 KiB":    be(uint32(3), "IHAVEOPT", uint32(optExportName), uint32(100<<10)),
		"the end of the stream, at once": nil,
	} {
		c := dial()
		c.read(18)
		if p == nil {
			c.Close()
			continue
		}
		c.write(p)
		if err := c.ended(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}
