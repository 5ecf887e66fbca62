// Package release says which build of a program runs, as the linker and the go
// command have noted it. Its functions are safe for concurrent use; it knows of no
// releases but the one that it is linked into.
package release

import (
	"cmp"
	"runtime"
	"runtime/debug"
	"strings"
)

// commitLength is how much of a commit's hash tells it from others.
const commitLength = 12

// Version is the version that a package's build has linked in, or else the one
// that the go command knows, or else "devel".
func Version(linked string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = new(debug.BuildInfo)
	}
	return version(linked, info)
}

// Line is what a program answers when it is asked for its version:
//
//	blockmill 1.2.3 (0123456789ab, go1.26.0)
func Line(program, linked string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = new(debug.BuildInfo)
	}
	return line(program, linked, info)
}

// creatorMax is how much of a maker's name a store has room for, in bytes.
const creatorMax = 32

// Creator is what a store notes as its maker: the program and its version.
func Creator(program, linked string) string {
	text := program + " " + Version(linked)
	return text[:min(len(text), creatorMax)]
}

func version(linked string, info *debug.BuildInfo) string {
	return cmp.Or(linked, strings.Trim(info.Main.Version, "()"), "devel")
}

func line(program, linked string, info *debug.BuildInfo) string {
	built := cmp.Or(info.GoVersion, runtime.Version())
	if c := commit(info); c != "" {
		built = c + ", " + built
	}
	return program + " " + version(linked, info) + " (" + built + ")"
}

// commit is that which the program was built from, with a plus when there were
// changes beyond it; "" when the go command did not know.
func commit(info *debug.BuildInfo) string {
	var hash, changed string
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			hash = s.Value[:min(len(s.Value), commitLength)]
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = "+"
		}
	}
	if hash == "" {
		return ""
	}
	return hash + changed
}
