package convert_test

import (
	"errors"
	"testing"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/convert"
)

func TestCompare(t *testing.T) {
	const window = convert.WindowSize
	const size = 8*window + memBlock
	base := map[int64]byte{0: 1, 2*window + memBlock: 2, 8 * window: 3}
	with := func(off int64, b byte) map[int64]byte {
		m := map[int64]byte{off: b}
		for k, v := range base {
			if k != off {
				m[k] = v
			}
		}
		return m
	}
	tests := []struct {
		name  string
		size  int64
		other map[int64]byte
		want  int64
	}{
		{"same", size, base, convert.Equal},
		{"data that is zeros", size, with(5*window, 0), convert.Equal},
		{"data against a hole", size, with(5*window, 9), 5 * window},
		{"hole against data", size, with(8*window, 0), 8 * window},
		{"inside a window", size, with(2*window+memBlock, 7), 2*window + memBlock},
		{"longer by zeros", size + window, base, size},
		{"longer, differs before", size + window, with(window, 1), window},
		{"shorter", 8 * window, map[int64]byte{0: 1, 2*window + memBlock: 2}, 8 * window},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, b := newImage(size, base), newImage(tt.size, tt.other)
			for _, side := range [][2]*memImage{{a, b}, {b, a}} {
				got, err := convert.Compare(t.Context(), side[0], side[1], convert.Options{})
				if err != nil {
					t.Fatal(err)
				}
				if got != tt.want {
					t.Errorf("differ at %d, want %d", got, tt.want)
				}
			}
		})
	}
}

// The first difference must be found however many there are and in whatever
// order the windows are looked at.
func TestCompareFindsTheFirst(t *testing.T) {
	pieces := make(map[int64]byte)
	for off := int64(3*convert.WindowSize + memBlock); off < 40*convert.WindowSize; off += convert.WindowSize {
		pieces[off] = 1
	}
	a, b := newImage(40*convert.WindowSize, pieces), newImage(40*convert.WindowSize, nil)
	for range 10 {
		got, err := convert.Compare(t.Context(), a, b, convert.Options{Workers: 8})
		if err != nil || got != 3*convert.WindowSize+memBlock {
			t.Fatalf("differ at %d, %v; want %d", got, err, 3*convert.WindowSize+memBlock)
		}
	}
}

func TestCompareChecksBoth(t *testing.T) {
	errBroken := errors.New("broken")
	a, b := newImage(memBlock, nil), newImage(memBlock, nil)
	b.checkErr = errBroken
	if _, err := convert.Compare(t.Context(), a, b, convert.Options{}); !errors.Is(err, errBroken) {
		t.Errorf("error %v, want %v", err, errBroken)
	}
	if _, err := convert.Compare(t.Context(), b, a, convert.Options{}); !errors.Is(err, errBroken) {
		t.Errorf("error %v, want %v", err, errBroken)
	}
}

func TestMap(t *testing.T) {
	img := newImage(10*memBlock, map[int64]byte{0: 1, 4 * memBlock: 1})
	img.states[1] = blockio.Data
	img.states[7], img.states[8] = blockio.Zero, blockio.Zero
	type row struct {
		start, length       int64
		present, zero, data bool
	}
	want := []row{
		{0, memBlock, true, false, true}, // its place does not go on in the next
		{memBlock, memBlock, true, false, true},
		{2 * memBlock, 2 * memBlock, false, true, false},
		{4 * memBlock, memBlock, true, false, true},
		{5 * memBlock, 2 * memBlock, false, true, false},
		{7 * memBlock, 2 * memBlock, true, true, false},
		{9 * memBlock, memBlock, false, true, false},
	}
	i := 0
	for m, err := range convert.Map(t.Context(), img) {
		if err != nil {
			t.Fatal(err)
		}
		got := row{m.Start, m.Length, m.Present, m.Zero, m.Data}
		if i >= len(want) || got != want[i] {
			t.Fatalf("mapping %d: %+v, want %+v", i, got, want[min(i, len(want)-1)])
		}
		if (m.Offset != nil) != m.Data || m.Data && *m.Offset != 2*m.Start {
			t.Errorf("mapping %d: offset %v", i, m.Offset)
		}
		i++
	}
	if i != len(want) {
		t.Errorf("%d mappings, want %d", i, len(want))
	}
}
