package mapping

import (
	"strings"
	"testing"
)

func TestName(t *testing.T) {
	for _, test := range []struct{ username, want string }{
		{"jane", "jane"},
		{"jane.doe-2", "jane.doe-2"},
		{"Jane", "jane"},
		{"jane_doe", "jane-doe-"},
		{"Jane_Doe", "jane-doe-"},
		{"jane@example.com", "jane-example.com-"},
		{"EXAMPLE\\jane", "example-jane-"},
		{"-jane-", "jane-"},
		{"a..b._c", "a.b-c-"},
		{"Żółć", "user-"},
		{"___", "user-"},
		{"", "user-"},
		{"system:admin", "system-admin-"},
		{"../admin", "admin-"},
		{strings.Repeat("a", 63), strings.Repeat("a", 63)},
		{strings.Repeat("a", 64), strings.Repeat("a", 54) + "-"},
	} {
		got := Name(test.username, "them", "4711")
		plain := fits(strings.ToLower(test.username))
		if !fits(got) || got != Name(test.username, "them", "4711") || plain && got != test.want {
			t.Errorf("%q is %q", test.username, got)
		}
		if prefix := test.want; !plain && (!strings.HasPrefix(got, prefix) || len(got) != len(prefix)+8) {
			t.Errorf("%q is %q, want %s and a digest", test.username, got, prefix)
		}
	}
	// Different people stay different.
	seen := map[string]string{}
	for _, username := range []string{"john_doe", "john.doe", "john-doe", "john doe", "john__doe", "john_doe_", "john/doe", "jöhn", "jähn"} {
		name := Name(username, "them", "1")
		if other, found := seen[name]; found {
			t.Errorf("%q and %q are both %s", username, other, name)
		}
		seen[name] = username
	}
	if Name("", "them", "1") == Name("", "them", "2") || Name("", "them", "1") == Name("", "others", "1") {
		t.Error("people without a name are the same")
	}
}

func FuzzName(f *testing.F) {
	for _, seed := range []string{"jane", "a..b", "-.-", "\x00", "é", strings.Repeat("-", 100), "a.-.b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, username string) {
		if name := Name(username, "them", "1"); !fits(name) {
			t.Fatalf("%q is %q", username, name)
		}
	})
}
