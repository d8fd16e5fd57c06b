package strictjson

import (
	"errors"
	"strings"
	"testing"
)

func TestCheckKeys(t *testing.T) {
	for _, test := range []struct {
		name, text, duplicate string
		malformed             bool
	}{
		{name: "an object", text: `{"a":1,"b":{"a":[{"a":"a"},{"a":"b"}]},"c":[]}`},
		{name: "a number", text: `12e3`},
		{name: "values that equal keys", text: `{"a":"b","b":"a","c":"a"}`},
		{name: "keys of different case", text: `{"a":1,"A":1}`},
		{name: "a key twice", text: `{"metadata":{},"metadata":{}}`, duplicate: "metadata"},
		{name: "a key twice in another escape", text: `{"metadata":{},"met\u0061data":{}}`, duplicate: "metadata"},
		{name: "a nested key twice", text: `{"metadata":{"labels":{"x":"1"},"name":"n","labels":{}}}`, duplicate: "labels"},
		{name: "a key twice in an array", text: `[{"op":"test","path":"/a","path":"/b"}]`, duplicate: "path"},
		{name: "a key twice after an object", text: `{"a":{"b":{}},"a":null}`, duplicate: "a"},
		{name: "two values", text: `{} {}`, malformed: true},
		{name: "no value", text: ` `, malformed: true},
		{name: "half an object", text: `{"a":`, malformed: true},
		{name: "no JSON", text: `metadata: {}`, malformed: true},
		{name: "too deep", text: strings.Repeat("[", 20000) + strings.Repeat("]", 20000), malformed: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := CheckKeys([]byte(test.text))
			var duplicate *DuplicateKeyError
			switch {
			case test.duplicate != "" && (!errors.As(err, &duplicate) || duplicate.Key != test.duplicate):
				t.Errorf("got %v, want a duplicate %s", err, test.duplicate)
			case test.duplicate == "" && (err != nil) != test.malformed:
				t.Errorf("got %v, malformed is %v", err, test.malformed)
			}
		})
	}
}

// TestCaseSensitive: Kubernetes ignores keys of another case.
func TestCaseSensitive(t *testing.T) {
	var rule struct {
		Verbs         []string `json:"verbs"`
		ResourceNames []string `json:"resourceNames"`
	}
	if err := Unmarshal([]byte(`{"verbs":["get"],"Verbs":["*"],"ResourceNames":["x"]}`), &rule); err != nil || len(rule.Verbs) != 1 || rule.Verbs[0] != "get" || rule.ResourceNames != nil {
		t.Errorf("%+v, %v", rule, err)
	}
}

// TestComplexTexts: three megabytes of maps of one key took 300 MB when they were decoded.
func TestComplexTexts(t *testing.T) {
	chains := strings.Repeat(strings.Repeat(`{"":`, 9_000)+"1"+strings.Repeat("}", 9_000)+",", 20) + "1"
	for name, test := range map[string]struct {
		text    string
		complex bool
	}{
		"chains of maps":         {"[" + chains + "]", true},
		"empty maps":             {"[" + strings.Repeat("{},", 1<<20) + "{}]", true},
		"numbers":                {"[" + strings.Repeat("1,", 1<<20) + "1]", true},
		"a long text":            {`{"a":"` + strings.Repeat("x", 3<<20) + `"}`, false},
		"ten thousand addresses": {"[" + strings.Repeat(`{"ip":"192.0.2.1","nodeName":"n","targetRef":{"kind":"Pod","name":"p","namespace":"n"}},`, 10_000) + "{}]", false},
		"a role with many rules": {`{"rules":[` + strings.Repeat(`{"verbs":["get","list"],"apiGroups":[""],"resources":["pods","services"]},`, 1_000) + "{}]}", false},
	} {
		err := CheckKeys([]byte(test.text))
		if errors.Is(err, ErrTooComplex) != test.complex || IsRefusal(err) != test.complex {
			t.Errorf("%s: %v", name, err)
		}
	}
}
