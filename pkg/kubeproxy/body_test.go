package kubeproxy

import (
	"net/http"
	"strings"
	"testing"

	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// TestUnambiguousBodies: a body of which two readers could take different values is
// refused, and YAML is converted once.
func TestUnambiguousBodies(t *testing.T) {
	const patch = "application/merge-patch+json"
	for _, test := range []struct {
		name, contentType, body, want string // want is "" for 400
	}{
		{"an object", "application/json", `{"metadata":{"name":"a"}}`, `{"metadata":{"name":"a"}}`},
		{"without a media type", "", `{"a":1}`, `{"a":1}`},
		{"a key twice", "application/json; charset=utf-8", `{"metadata":{},"metadata":{}}`, ""},
		{"a key twice without a media type", "", `{"metadata":{},"metadata":{}}`, ""},
		{"a key twice in another escape", "application/json", `{"metadata":{},"met\u0061data":{}}`, ""},
		{"a label twice in a merge patch", patch, `{"metadata":{"labels":{"a":"b","a":"c"}}}`, ""},
		{"rules twice in a strategic merge patch", "application/strategic-merge-patch+json", `{"rules":[],"rules":null}`, ""},
		{"a path twice in a JSON patch", "application/json-patch+json", `[{"op":"add","path":"/a","value":1,"path":"/b"}]`, ""},
		{"a key twice in YAML", "application/yaml", "rules: []\nrules: null\n", ""},
		{"a key twice in what is applied", "application/apply-patch+yaml", "rules: []\nrules: null\n", ""},
		{"YAML", "application/yaml", "metadata: {name: a}\n", `{"metadata":{"name":"a"}}`},
		{"what is applied", "application/apply-patch+yaml", "a: 1", `{"a":1}`},
		{"no JSON", "application/json", `{`, `{`},
		{"protobuf", "application/vnd.kubernetes.protobuf", "k8s\x00", "k8s\x00"},
	} {
		got, err := unambiguousBody(t.Context(), "jane", test.contentType, []byte(test.body))
		if string(got) != test.want || err != nil && status.Of(err).Code != http.StatusBadRequest {
			t.Errorf("%s: %q, %v", test.name, got, err)
		}
	}
}

// TestLargeBodies: what a body becomes is bounded whatever its encoding: YAML of 3 MiB took
// seconds before it was refused, and protobuf was not bounded at all.
func TestLargeBodies(t *testing.T) {
	many := "[" + strings.Repeat("{},", 200_000) + "{}]"
	if _, err := unambiguousBody(t.Context(), "jane", "application/yaml", []byte("a: ["+strings.Repeat("x,", 1_500_000))); status.Of(err).Code != http.StatusRequestEntityTooLarge {
		t.Errorf("YAML: %v", err)
	}
	if got, err := unambiguousBody(t.Context(), "jane", "application/apply-patch+yaml", []byte(`{"a":"x"}`)); err != nil || string(got) != `{"a":"x"}` {
		t.Errorf("JSON as YAML: %s, %v", got, err)
	}
	for name, test := range map[string]struct {
		unit string
		code int32
	}{
		"empty messages": {"\x12\x00", 413}, "small messages": {"\x12\x0a\x0a\x01x\x12\x00\x1a\x03abc", 413},
		"texts": {"\x0a\x10kubernetes.io/os", 0}, "one long text": {"\x0a\x80\x80\x80\x01" + strings.Repeat("a: [b, c]\n\n", 1<<18)[:1<<21], 0},
	} {
		body := "k8s\x00" + strings.Repeat(test.unit, max(1, (3<<20-4)/len(test.unit)))
		if _, err := unambiguousBody(t.Context(), "jane", "application/vnd.kubernetes.protobuf", []byte(body)); err == nil && test.code != 0 || err != nil && status.Of(err).Code != test.code {
			t.Errorf("protobuf, %s: %v", name, err)
		}
	}
	for contentType, code := range map[string]int32{"application/vnd.kubernetes.protobuf": http.StatusRequestEntityTooLarge, "application/cbor": http.StatusRequestEntityTooLarge, "application/json": 0} {
		_, err := decodeAnswer(contentType, []byte(`{"rules":`+many+`}`))
		if err == nil && code != 0 || err != nil && status.Of(err).Code != code {
			t.Errorf("%s: %v", contentType, err)
		}
	}
}

// TestQuotasOfWorkspaces: a quota limits the workspace its author was authorized for.
func TestQuotasOfWorkspaces(t *testing.T) {
	quota := func(workspace string) string {
		return `{"apiVersion":"quota.kubesphere.io/v1alpha2","kind":"ResourceQuota","metadata":{"name":"q","labels":{"kubesphere.io/workspace":"` + workspace + `"}},
			"spec":{"selector":{"kubesphere.io/workspace":"` + workspace + `"}}}`
	}
	for _, test := range []struct {
		name, authorized, before, after string
		allowed                         bool
	}{
		{"of the workspace", "w", "", quota("w"), true},
		{"of another workspace", "w", "", quota("system-workspace"), false},
		{"of any workspace in the cluster", "", "", quota("x"), true},
		{"of the workspace, changed", "w", quota("w"), quota("w"), true},
		{"into another workspace", "w", quota("w"), quota("x"), false},
		{"out of another workspace", "w", quota("x"), quota("w"), false},
		{"of no workspace", "", "", `{"metadata":{"name":"q"}}`, false},
	} {
		info := &request.Info{APIGroup: groupQuota, Resource: "resourcequotas", Workspace: test.authorized}
		err := (&Proxy{rights: &authz.RBAC{All: true}}).permit(t.Context(), &user.DefaultInfo{Name: "jane"}, info, parse(t, test.before), parse(t, test.after))
		if (err == nil) != test.allowed {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}
