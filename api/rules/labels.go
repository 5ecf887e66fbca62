package rules

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// Bounds of labels.
const (
	maxLabels    = 64
	maxLabelPart = 63 // characters of a key, or of a value
)

var (
	labelKey   = regexp.MustCompile(`^[a-z][-_./@0-9a-z]*$`)
	labelValue = regexp.MustCompile(`^[-_./@0-9a-z]*$`)
)

// labels holds the keys and values of labels against their rules.
func labels(v value, out *Violations) {
	elements(0, maxLabels)(v, out)
	all := make(map[string]string, v.Map().Len())
	v.Map().Range(func(k protoreflect.MapKey, e protoreflect.Value) bool {
		all[k.String()] = e.String()
		return true
	})
	for _, k := range slices.Sorted(maps.Keys(all)) {
		path := fmt.Sprintf("%s[%s]", v.path, k)
		if n := utf8.RuneCountInString(k); n < 1 || n > maxLabelPart {
			out.Add(path, "Key length must be in the range from 1 to %d", maxLabelPart)
		}
		if k != "" && !labelKey.MatchString(k) {
			out.Add(path, "Key does not match the pattern %s", `[a-z][-_./\@0-9a-z]*`)
		}
		if utf8.RuneCountInString(all[k]) > maxLabelPart {
			out.Add(path, "Value length must be less than or equal to %d", maxLabelPart)
		}
		if !labelValue.MatchString(all[k]) {
			out.Add(path, "Value does not match the pattern %s", `[-_./\@0-9a-z]*`)
		}
	}
}

func index(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }
