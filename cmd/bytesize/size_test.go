package bytesize_test

import (
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/blockmill/blockmill/blockio/storedir"
	"github.com/blockmill/blockmill/cmd/bytesize"
)

func TestSize(t *testing.T) {
	for _, tt := range []struct {
		text string
		size bytesize.Size
		want string // the text it is printed as
	}{
		{"0", 0, "0"},
		{"1", 1, "1"},
		{"1023", 1023, "1023"},
		{"1024", 1 << 10, "1K"},
		{"1536k", 1536 << 10, "1536K"},
		{" 64M ", 64 << 20, "64M"},
		{"4096G", 4 << 40, "4T"},
		{"2048T", 2 << 50, "2048T"},
		{"8388607T", 8388607 << 40, "8388607T"},
		{strconv.Itoa(math.MaxInt64), math.MaxInt64, strconv.Itoa(math.MaxInt64)},
	} {
		var s bytesize.Size
		if err := s.Set(tt.text); err != nil || s != tt.size || s.String() != tt.want {
			t.Errorf("%q gives %d, printed as %v, error %v", tt.text, int64(s), s, err)
		}
	}
	for _, text := range []string{"", "K", "-1", "-1K", "1X", "1KB", "1.5M", "0x10", "8388608T", "9223372036854775808"} {
		s := bytesize.Size(7)
		if err := s.Set(text); err == nil || !strings.Contains(err.Error(), strconv.Quote(text)) || s != 7 {
			t.Errorf("%q gives %d, error %v", text, int64(s), err)
		}
	}
}

func TestReserve(t *testing.T) {
	var r bytesize.Reserve
	for _, tt := range []struct {
		text string
		want bytesize.Reserve
	}{{"1G", 1 << 30}, {"0", 0}, {"auto", storedir.AutoReserve}} {
		if err := r.Set(tt.text); err != nil || r != tt.want || r.String() != tt.text {
			t.Errorf("%q gives %v, %d bytes, error %v", tt.text, r, int64(r), err)
		}
	}
	for _, text := range []string{"automatic", "AUTO", "-1", ""} {
		if err := r.Set(text); err == nil {
			t.Errorf("%q is taken as %v", text, r)
		}
	}
}
