package release_test

import (
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/blockmill/blockmill/cmd/release"
)

func TestLine(t *testing.T) {
	const hash = "0123456789abcdef0123456789abcdef01234567"
	tests := []struct {
		name, linked string
		info         debug.BuildInfo
		want         string
	}{
		{"nothing is known", "", debug.BuildInfo{}, "prog devel (" + runtime.Version() + ")"},
		{"by hand", "", debug.BuildInfo{GoVersion: "go1.26.0", Main: debug.Module{Version: "(devel)"}}, "prog devel (go1.26.0)"},
		{
			"in a clone with changes", "",
			debug.BuildInfo{GoVersion: "go1.26.0", Main: debug.Module{Version: "v0.0.1"}, Settings: []debug.BuildSetting{
				{Key: "vcs.revision", Value: hash}, {Key: "vcs.modified", Value: "true"},
			}},
			"prog v0.0.1 (0123456789ab+, go1.26.0)",
		},
		{
			"a package", "1.2.3",
			debug.BuildInfo{GoVersion: "go1.26.0", Main: debug.Module{Version: "v0.0.1"}, Settings: []debug.BuildSetting{
				{Key: "vcs.revision", Value: hash}, {Key: "vcs.modified", Value: "false"},
			}},
			"prog 1.2.3 (0123456789ab, go1.26.0)",
		},
	}
	for _, tc := range tests {
		if got := release.LineOf("prog", tc.linked, &tc.info); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
	if got := release.Line("prog", ""); !strings.HasPrefix(got, "prog ") || !strings.HasSuffix(got, runtime.Version()+")") {
		t.Errorf("of this build: %q", got)
	}
}

// A store has no room for more than 32 bytes.
func TestCreator(t *testing.T) {
	for linked, want := range map[string]string{
		"1.2.3":                               "prog 1.2.3",
		"1.2.3-rc1.20261127.0123456789abcdef": "prog 1.2.3-rc1.20261127.01234567",
	} {
		if got := release.Creator("prog", linked); got != want {
			t.Errorf("version %s: %q, want %q", linked, got, want)
		}
	}
}
