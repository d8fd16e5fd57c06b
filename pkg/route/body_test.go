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
