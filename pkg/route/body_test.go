package route

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

type thing struct {
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels,omitempty"`
}

func request(media, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("Content-Type", media)
	return r
}

func TestReadJSON(t *testing.T) {
	for _, test := range []struct {
		media, body string
		code        int32 // 0 when it works
	}{
		{"application/json", `{"name":"a"}`, 0},
		{"application/json; charset=utf-8", `{"name":"a","more":1}`, 0},
		{"", `{"name":"a"}`, 0},
		{"text/plain", `{"name":"a"}`, 415},
		{"application/x-www-form-urlencoded", `name=a`, 415},
		{"application/json", `{"name":`, 400},
		{"application/json", `{"name":1}`, 400},
		{"application/json", `"name"`, 400},
		{"application/json", ``, 400},
	} {
		var got thing
		err := ReadJSON(request(test.media, test.body), &got)
		if test.code == 0 && (err != nil || got.Name != "a") || test.code != 0 && (err == nil || status.Of(err).Code != test.code) {
			t.Errorf("%s %s: %+v, %v, want %d", test.media, test.body, got, err, test.code)
		}
	}
}

func TestPatched(t *testing.T) {
	const merge, operations = "application/merge-patch+json", "application/json-patch+json"
	for _, test := range []struct {
		media, body string
		code        int32
		want        string // the label a
	}{
		{merge, `{"labels":{"a":"2"}}`, 0, "2"},
		{merge, `{"labels":{"a":null}}`, 0, ""},
		{"application/json", `{"labels":{"b":"2"}}`, 0, "1"},
		{operations, `[{"op":"replace","path":"/labels/a","value":"3"}]`, 0, "3"},
		{operations, `[{"op":"remove","path":"/labels/none"}]`, 422, ""},
		{operations, `{"labels":{}}`, 400, ""},
		{merge, `[`, 400, ""},
		{merge, `{"labels":1}`, 400, ""},
		{"application/strategic-merge-patch+json", `{}`, 415, ""},
	} {
		var got thing
		r := request(test.media, test.body)
		for range 2 { // it may be applied again
			err := Patched(r, thing{Name: "x", Labels: map[string]string{"a": "1"}}, &got)
			if test.code == 0 && (err != nil || got.Name != "x" || got.Labels["a"] != test.want) || test.code != 0 && (err == nil || status.Of(err).Code != test.code) {
				t.Errorf("%s %s: %+v, %v, want %d", test.media, test.body, got, err, test.code)
			}
			got = thing{}
		}
	}
}

// TestDecodeError: an error names the field, what is expected and what was found.
func TestDecodeError(t *testing.T) {
	type nested struct {
		Labels  map[string]string `json:"labels"`
		Names   []string          `json:"names"`
		Count   int               `json:"count"`
		Size    *uint             `json:"size"`
		Ratio   float64           `json:"ratio"`
		Enabled bool              `json:"enabled"`
		Inner   struct {
			Key []byte `json:"key"`
		} `json:"inner"`
	}
	for body, want := range map[string]string{
		`{"labels":[]}`:             "labels must be an object, not a list",
		`{"labels":{"a":1}}`:        "each value of labels must be a string, not a number",
		`{"names":[1]}`:             "each value of names must be a string, not a number",
		`{"names":{}}`:              "names must be a list, not an object",
		`{"names":"secret"}`:        "names must be a list, not a string",
		`{"count":"secret"}`:        "count must be a whole number, not a string",
		`{"count":1.5}`:             "count must be a whole number, not another number",
		`{"size":-1}`:               "size must be a whole number that is not negative, not another number",
		`{"ratio":true}`:            "ratio must be a number, not true or false",
		`{"enabled":"secret"}`:      "enabled must be true or false, not a string",
		`{"inner":[]}`:              "inner must be an object, not a list",
		`{"inner":{"key":7315}}`:    "inner.key must be a string in base64, not a number",
		`[]`:                        "the body must be an object, not a list",
		`"secret"`:                  "the body must be an object, not a string",
		`{`:                         "the body is not JSON",
		``:                          "the body is not JSON",
		`{"inner":{"key":"s e c"}}`: "the body cannot be read",
	} {
		err := ReadJSON(request("application/json", body), &nested{})
		if err == nil || status.Of(err).Code != 400 || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "7315") {
			t.Errorf("%s: %v, want %q", body, err, want)
		}
	}
}
