package main

import "github.com/blockmill/blockmill/cmd/release"

// version is set by the linker in releases.
var version string

// creatorMax is how much of a maker's name a store has room for, in bytes.
const creatorMax = 32

// creator is what a store notes as its maker: the program and its version.
func creator() string {
	text := "blockmill " + release.Version(version)
	return text[:min(len(text), creatorMax)]
}
