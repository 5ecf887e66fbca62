package storedir

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blockmill/blockmill/blockio/stripe"
)

func sampleLayout() Layout {
	return Layout{
		Set: stripe.SetID{1, 2, 15: 3}, Data: 2, Parity: 1, Unit: 1 << 20,
		Shards: []string{"volume", "/disk1/s", ""}, SharedDevices: true,
	}
}

func TestLayout(t *testing.T) {
	p, err := sampleLayout().encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := parseLayout(p)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sampleLayout(), got); diff != "" {
		t.Error(diff)
	}
	for i := range p {
		bad := bytes.Clone(p)
		bad[i] ^= 1
		if got, err := parseLayout(bad); err == nil && !cmp.Equal(got, sampleLayout()) {
			t.Errorf("byte %d turned over gives %+v", i, got)
		}
	}
	newer := bytes.Replace(p, []byte("layout 1 "), []byte("layout 2 "), 1)
	if _, err := parseLayout(newer); !errors.Is(err, stripe.ErrNewerVersion) {
		t.Errorf("version 2: %v, want ErrNewerVersion", err)
	}
}

func FuzzLayout(f *testing.F) {
	p, err := sampleLayout().encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(p)
	f.Add([]byte("blockmill layout 1 ef46db3751d8e999\n"))
	f.Fuzz(func(t *testing.T, p []byte) {
		l, err := parseLayout(p)
		if err != nil {
			return
		}
		if len(l.Shards) != l.Data+l.Parity || l.Data < 1 {
			t.Errorf("took %+v", l)
		}
	})
}
