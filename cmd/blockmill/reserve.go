package main

import "github.com/blockmill/blockmill/blockio/storedir"

// reserve is how much space an import leaves free.
type reserve struct {
	size
	set bool
}

func (r *reserve) String() string {
	if !r.set {
		return "auto"
	}
	return r.size.String()
}

// Set is of pflag.Value.
func (r *reserve) Set(text string) error {
	r.set = text != "auto"
	if !r.set {
		return nil
	}
	return r.size.Set(text)
}

func (r *reserve) bytes() int64 {
	if !r.set {
		return storedir.AutoReserve
	}
	return int64(r.size)
}
