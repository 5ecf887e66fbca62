package bytesize

import "github.com/blockmill/blockmill/blockio/storedir"

// Reserve is how much space is left free on the file systems of a store: a size, or
// AutoReserve, whose text is "auto".
type Reserve int64

// AutoReserve is that of package storedir.
const AutoReserve Reserve = storedir.AutoReserve

// UnmarshalText is of encoding.TextUnmarshaler.
func (r *Reserve) UnmarshalText(text []byte) error {
	if string(text) == AutoReserve.String() {
		*r = AutoReserve
		return nil
	}
	return (*Size)(r).UnmarshalText(text)
}

func (r Reserve) String() string {
	if r == AutoReserve {
		return "auto"
	}
	return Size(r).String()
}

// Set is of pflag.Value.
func (r *Reserve) Set(text string) error { return r.UnmarshalText([]byte(text)) }

// Type is of pflag.Value.
func (*Reserve) Type() string { return "SIZE" }
