package filter_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blockmill/blockmill/api/filter"
)

func known(field string) (string, bool) {
	switch field {
	case "name", "id", "family", "pooled":
		return field, true
	case "createdAt", "created_at":
		return "created_at", true
	}
	return field, strings.HasPrefix(field, "labels.")
}

func TestParse(t *testing.T) {
	one := func(field string, op filter.Op, values ...string) filter.Filter {
		return filter.Filter{{Field: field, Op: op, Values: values}}
	}
	tests := []struct {
		text string
		want filter.Filter
	}{
		{"", nil},
		{"  ", nil},
		{`name = "x"`, one("name", filter.Equal, "x")},
		{`name="x"`, one("name", filter.Equal, "x")},
		{`name='x'`, one("name", filter.Equal, "x")},
		{"\tname\n=\r\"\" ", one("name", filter.Equal, "")},
		{`name != "x"`, one("name", filter.NotEqual, "x")},
		{`name IN ("x")`, one("name", filter.In, "x")},
		{`name in("x",'y' , "z")`, one("name", filter.In, "x", "y", "z")},
		{`name NOT IN ("x", "y")`, one("name", filter.NotIn, "x", "y")},
		{`name not  in ("x")`, one("name", filter.NotIn, "x")},
		{`name = "a\"b\'c\\d\?"`, one("name", filter.Equal, `a"b'c\d?`)},
		{`name = 'a"b'`, one("name", filter.Equal, `a"b`)},
		{`name = "a'b"`, one("name", filter.Equal, `a'b`)},
		{`name = "\a\b\f\n\r\t\v"`, one("name", filter.Equal, "\a\b\f\n\r\t\v")},
		{`name = "\x41\x4a\x7\101\0\18"`, one("name", filter.Equal, "AJ\aA\x00\x018")},
		{`name = "жук"`, one("name", filter.Equal, "жук")},
		{`name = " AND "`, one("name", filter.Equal, " AND ")},
		{`pooled = true`, one("pooled", filter.Equal, "true")},
		{`pooled != -12`, one("pooled", filter.NotEqual, "-12")},
		{`createdAt = "x"`, one("created_at", filter.Equal, "x")},
		{`labels.a-b_c/d@e = "x"`, one("labels.a-b_c/d@e", filter.Equal, "x")},
		{`name = "x" AND family='y'and id IN("z")`, filter.Filter{
			{Field: "name", Op: filter.Equal, Values: []string{"x"}},
			{Field: "family", Op: filter.Equal, Values: []string{"y"}},
			{Field: "id", Op: filter.In, Values: []string{"z"}},
		}},
	}
	for _, tt := range tests {
		got, err := filter.Parse(tt.text, known)
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.text, diff)
		}
	}
}

func TestParseFails(t *testing.T) {
	tests := []struct {
		text   string
		offset int
	}{
		{`name`, 4},
		{`name =`, 6},
		{`name = x`, 7},
		{`name = "x`, 7},
		{`name = "x\`, 10},
		{`name = "\q"`, 9},
		{`name = "\xg"`, 10},
		{`name = "\777"`, 9},
		{`name = "x" name = "y"`, 11},
		{`name = "x" AND`, 14},
		{`name = "x" OR name = "y"`, 11},
		{`AND name = "x"`, 0},
		{`size = "x"`, 0},
		{`= "x"`, 0},
		{`name < "x"`, 5},
		{`name == "x"`, 6},
		{`name NOT "x"`, 9},
		{`name IN "x"`, 8},
		{`name IN ()`, 9},
		{`name IN ("x" "y")`, 13},
		{`name IN ("x",)`, 13},
		{`name IN ("x"`, 12},
		{`name = ("x")`, 7},
		{`name = "x")`, 10},
		{`name = -`, 7},
		{`name = 1-2`, 7},
	}
	for _, tt := range tests {
		f, err := filter.Parse(tt.text, known)
		bad, ok := errors.AsType[*filter.SyntaxError](err)
		if !ok {
			t.Errorf("%s: %v, %v; want a syntax error", tt.text, f, err)
		} else if bad.Offset != tt.offset {
			t.Errorf("%s: %v; want it at offset %d", tt.text, bad, tt.offset)
		}
	}
}

func TestMatch(t *testing.T) {
	thing := map[string]string{"name": "x", "family": "fam"}
	tests := []struct {
		text string
		want bool
	}{
		{``, true},
		{`name = "x"`, true},
		{`name = "y"`, false},
		{`name != "x"`, false},
		{`name != "y"`, true},
		{`name IN ("y", "x")`, true},
		{`name IN ("y")`, false},
		{`name NOT IN ("y", "x")`, false},
		{`name NOT IN ("y")`, true},
		{`name = "x" AND family = "fam"`, true},
		{`name = "x" AND family != "fam"`, false},
		{`id = ""`, true},
	}
	for _, tt := range tests {
		f, err := filter.Parse(tt.text, known)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Match(func(field string) string { return thing[field] }); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.text, got, tt.want)
		}
	}
}

func TestExactly(t *testing.T) {
	for text, want := range map[string]string{
		`family = "f" AND name = "x"`: "x", `name IN ("x")`: "x", `name IN ("x", "y")`: "-", `name != "x"`: "-", ``: "-",
	} {
		f, err := filter.Parse(text, known)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := f.Exactly("name")
		if !ok {
			got = "-"
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func TestParseOrder(t *testing.T) {
	for text, want := range map[string]filter.Order{
		"": {Field: "id"}, " ": {Field: "id"}, "name": {Field: "name"}, "name asc": {Field: "name"}, "createdAt desc": {Field: "created_at", Descending: true},
		" created_at  DESC ": {Field: "created_at", Descending: true},
	} {
		got, err := filter.ParseOrder(text, known)
		if err != nil || got != want {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"size", "name up", "name asc desc", "name, id", "desc", "name desc,", `"name"`} {
		if got, err := filter.ParseOrder(text, known); err == nil {
			t.Errorf("%q: %v, want an error", text, got)
		}
	}
}

func TestCursor(t *testing.T) {
	scope := filter.ScopeOf("folder", `name = "x"`, "")
	for _, c := range []filter.Cursor{{}, {ID: "i"}, {ID: "i", Key: "a.b.c"}, {ID: strings.Repeat("i", 20), Key: strings.Repeat("k", 63)}} {
		token := c.Token(scope)
		if len(token) > 100 {
			t.Errorf("%v: token of %d characters", c, len(token))
		}
		got, err := filter.ParseCursor(token, scope)
		if err != nil || *got != c {
			t.Errorf("%v: %v, %v", c, got, err)
		}
		if _, err := filter.ParseCursor(token, filter.ScopeOf("folder", `name = "y"`, "")); !errors.Is(err, filter.ErrToken) {
			t.Errorf("%v in another listing: %v", c, err)
		}
	}
	if filter.ScopeOf("a", "b") == filter.ScopeOf("ab", "") {
		t.Error("two listings have one scope")
	}
	if c, err := filter.ParseCursor("", scope); c != nil || err != nil {
		t.Errorf("no token: %v, %v", c, err)
	}
	for _, token := range []string{"x", string(scope), string(scope) + ".i", ".i.k", "0.i.k"} {
		if c, err := filter.ParseCursor(token, scope); !errors.Is(err, filter.ErrToken) {
			t.Errorf("%q: %v, %v", token, c, err)
		}
	}
}

// A filter that is read holds of just those things of which it holds when it is
// written out and read again.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"", `name = "x"`, `name NOT IN ('a\'', "\x41\101") AND pooled=true`, `labels.a/b != "\\"`, `name IN (`, `name="\`, "\x00", `name = "\400"`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := filter.Parse(text, known)
		if _, ok := errors.AsType[*filter.SyntaxError](err); err != nil && !ok {
			t.Fatalf("%v is no syntax error", err)
		}
		if err != nil {
			return
		}
		again, err := filter.Parse(write(got), known)
		if err != nil {
			t.Fatalf("%q: written as %q: %v", text, write(got), err)
		}
		if diff := cmp.Diff(got, again); diff != "" {
			t.Errorf("%q: written as %q (-read +again):\n%s", text, write(got), diff)
		}
	})
}

func FuzzParseOrder(f *testing.F) {
	f.Add("createdAt desc")
	f.Add(" id\tasc")
	f.Fuzz(func(t *testing.T, text string) {
		o, err := filter.ParseOrder(text, known)
		if err == nil && o.Field == "" {
			t.Errorf("%q: no field", text)
		}
	})
}

func FuzzParseCursor(f *testing.F) {
	scope := filter.ScopeOf("x")
	f.Add(filter.Cursor{ID: "i", Key: "k"}.Token(scope))
	f.Fuzz(func(t *testing.T, token string) {
		c, err := filter.ParseCursor(token, scope)
		if err == nil && c != nil && c.Token(scope) != token {
			t.Errorf("%q is read as %v", token, c)
		}
	})
}

// write writes a filter out, every character as an escape.
func write(f filter.Filter) string {
	ops := map[filter.Op]string{filter.Equal: " = ", filter.NotEqual: " != ", filter.In: " IN ", filter.NotIn: " NOT IN "}
	var conditions []string
	for _, c := range f {
		var values []string
		for _, v := range c.Values {
			var b strings.Builder
			for _, c := range []byte(v) {
				b.WriteString(`\x` + string("0123456789abcdef"[c>>4]) + string("0123456789ABCDEF"[c&15]))
			}
			values = append(values, `"`+b.String()+`"`)
		}
		list := strings.Join(values, ",")
		if c.Op == filter.In || c.Op == filter.NotIn {
			list = "(" + list + ")"
		}
		conditions = append(conditions, c.Field+ops[c.Op]+list)
	}
	return strings.Join(conditions, " AND ")
}
