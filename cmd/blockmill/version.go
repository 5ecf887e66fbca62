package main

import "runtime/debug"

// creatorMax is how much of a maker's name a store has room for, in bytes.
const creatorMax = 32

// creator is what a store notes as its maker: the program and its version.
func creator() string {
	version := "devel"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		version = info.Main.Version
	}
	text := "blockmill " + version
	return text[:min(len(text), creatorMax)]
}
