package rules

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

// value is a field of a message, or one of its elements.
type value struct {
	path string
	desc protoreflect.FieldDescriptor
	protoreflect.Value
	// set is false for a field that has its zero value.
	set bool
}

// rule notes what is wrong with a value.
type rule func(v value, out *Violations)

// required refuses the zero value.
func required(v value, out *Violations) {
	if !v.set {
		out.Add(v.path, "Field is required")
	}
}

// characters bounds the length of a string.
func characters(most int) rule {
	return func(v value, out *Violations) {
		if utf8.RuneCountInString(v.String()) > most {
			out.Add(v.path, "Field length must be less than or equal to %d", most)
		}
	}
}

// matching holds a string that is not empty against a pattern.
func matching(pattern string) rule {
	re := regexp.MustCompile(`^(?:` + pattern + `)$`)
	return func(v value, out *Violations) {
		if v.set && !re.MatchString(v.String()) {
			out.Add(v.path, "Field does not match the pattern %s", pattern)
		}
	}
}

// between bounds a number; zero is a number that is not given.
func between(least, most int64) rule {
	return func(v value, out *Violations) {
		if n := v.Int(); v.set && (n < least || n > most) {
			out.Add(v.path, "Value must be in the range from %d to %d", least, most)
		}
	}
}

// multipleOf wants a number to be one.
func multipleOf(unit int64) rule {
	return func(v value, out *Violations) {
		if v.Int()%unit != 0 {
			out.Add(v.path, "Value must be a multiple of %d", unit)
		}
	}
}

// powerOfTwo wants a number, if it is given, to be one.
func powerOfTwo(v value, out *Violations) {
	if n := v.Int(); v.set && n&(n-1) != 0 {
		out.Add(v.path, "Value must be a power of two")
	}
}

// defined wants an enumeration's value to be one of those that are known.
func defined(v value, out *Violations) {
	if v.desc.Enum().Values().ByNumber(v.Enum()) == nil {
		out.Add(v.path, "Value is not one of those that are defined")
	}
}

// elements bounds the number of a list's or map's elements.
func elements(least, most int) rule {
	return func(v value, out *Violations) {
		n := 0
		switch {
		case v.desc.IsMap():
			n = v.Map().Len()
		default:
			n = v.List().Len()
		}
		if n < least || n > most {
			out.Add(v.path, "Number of elements must be in the range from %d to %d", least, most)
		}
	}
}

// absent refuses a field that this server cannot honour.
func absent(why string) rule {
	return func(v value, out *Violations) {
		if v.set {
			out.Add(v.path, "%s", why)
		}
	}
}

// paths wants a field mask to name some of the given fields.
func paths(known ...string) rule {
	return func(v value, out *Violations) {
		mask, ok := v.Message().Interface().(*fieldmaskpb.FieldMask)
		if !v.set || !ok {
			return
		}
		for _, p := range mask.GetPaths() {
			if !slices.Contains(known, p) {
				out.Add(v.path, "Unknown path %q: want some of %s", p, strings.Join(known, ", "))
			}
		}
	}
}

// each holds every element of a list against rules.
func each(rules ...rule) rule {
	return func(v value, out *Violations) {
		for i := range v.List().Len() {
			e := v.List().Get(i)
			apply(rules, value{path: index(v.path, i), desc: v.desc, Value: e, set: isSet(v.desc, e)}, out)
		}
	}
}

// message holds a message, if it is there, against the table's lines for it.
func message(v value, out *Violations) {
	if v.set {
		check(v.path+".", v.Message(), out)
	}
}

func apply(rules []rule, v value, out *Violations) {
	for _, r := range rules {
		r(v, out)
	}
}

// isSet says whether an element of a list has another than the zero value.
func isSet(desc protoreflect.FieldDescriptor, v protoreflect.Value) bool {
	if desc.Message() != nil {
		return v.Message().IsValid()
	}
	return v.Interface() != desc.Default().Interface()
}

// Check returns every violation of the rules of a message, together with those
// that were found by who knows more than the message: errors of [Violations.Err].
func Check(m proto.Message, found ...error) error {
	var out Violations
	check("", m.ProtoReflect(), &out)
	for _, err := range found {
		out.include(err)
	}
	return out.Err()
}

func check(prefix string, m protoreflect.Message, out *Violations) {
	for _, line := range linesOf(m.Descriptor().FullName()) {
		if one := m.Descriptor().Oneofs().ByName(line.field); one != nil {
			if m.WhichOneof(one) == nil {
				out.Add(prefix+string(line.field), "One of the options is required")
			}
			continue
		}
		desc := m.Descriptor().Fields().ByName(line.field)
		apply(line.rules, value{
			path: prefix + string(line.field), desc: desc, Value: m.Get(desc), set: m.Has(desc),
		}, out)
	}
}
