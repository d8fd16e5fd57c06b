package kubeproxy

import (
	"context"
	"net/http"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
)

// withoutUnsafeDeletion permits every request but for deletions that ignore errors.
type withoutUnsafeDeletion struct{}

func (withoutUnsafeDeletion) Authorize(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	if a.GetVerb() == authz.VerbUnsafeDelete {
		return authorizer.DecisionNoOpinion, "", nil
	}
	return authorizer.DecisionAllow, "", nil
}

// TestUnsafeDeletion: to delete without reading the object is a power, by the query and
// by the body, whatever the encoding of the body.
func TestUnsafeDeletion(t *testing.T) {
	const (
		secret    = "/api/v1/namespaces/n/secrets/s"
		secrets   = "/api/v1/namespaces/n/secrets"
		parameter = "ignoreStoreReadErrorWithClusterBreakingPotential"
		protobuf  = "application/vnd.kubernetes.protobuf"
	)
	encoded := func(ignores bool) string {
		options := &metav1.DeleteOptions{IgnoreStoreReadErrorWithClusterBreakingPotential: &ignores}
		raw, err := options.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		unknown, err := (&runtime.Unknown{TypeMeta: runtime.TypeMeta{APIVersion: "v1", Kind: "DeleteOptions"}, Raw: raw}).Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return "k8s\x00" + string(unknown)
	}
	for _, test := range []struct {
		name, target, contentType, body string
		code                            int
		unsafe                          bool // deleted by holders of the power only
	}{
		{"no options", secret, "", "", 200, false},
		{"the query", secret + "?" + parameter + "=true", "", "", 200, true},
		{"the query without a value", secret + "?" + parameter, "", "", 200, true},
		{"the query, false", secret + "?" + parameter + "=false", "", "", 200, false},
		{"the query twice", secret + "?" + parameter + "=false&" + parameter + "=true", "", "", 400, false},
		{"the query with another value", secret + "?" + parameter + "=yes", "", "", 400, false},
		{"the query with other options in the body", secret + "?" + parameter + "=true", "application/json", `{"gracePeriodSeconds":0}`, 200, true},
		{"a collection", secrets + "?" + parameter + "=1", "", "", 200, true},
		{"the body", secret, "application/json", `{"kind":"DeleteOptions","apiVersion":"v1","` + parameter + `":true}`, 200, true},
		{"the body of another group", secret, "application/json", `{"kind":"DeleteOptions","apiVersion":"apps/v1","` + parameter + `":true}`, 200, true},
		{"the body without a type", secret, "", `{"` + parameter + `":true}`, 200, true},
		{"the body, false", secret, "application/json; charset=utf-8", `{"` + parameter + `":false,"propagationPolicy":"Orphan"}`, 200, false},
		{"the body of a collection", secrets, "application/json", `{"` + parameter + `":true}`, 200, true},
		{"the body in YAML", secret, "application/yaml", parameter + ": true", 200, true},
		{"the body in YAML, false", secret, "application/yaml", "kind: DeleteOptions\napiVersion: v1\ngracePeriodSeconds: 0\n", 200, false},
		{"JSON as YAML", secret, "application/yaml", `{"` + parameter + `":true}`, 200, true},
		{"a key twice in YAML", secret, "application/yaml", parameter + ": true\n" + parameter + ": false\n", 400, false},
		{"a body in YAML that is nothing", secret, "application/yaml", "[1]", 400, false},
		{"more aliases than are converted", secret, "application/yaml", "a: &a x\nx: [" + strings.Repeat("*a,", 1<<13) + "]", 413, false},
		{"aliases that expand to 120 MB", secret, "application/yaml", "a: &a " + strings.Repeat("x", 50_000) + "\nx: [" + strings.Repeat("*a,", 2_400) + "]", 413, false},
		{"many values in YAML", secret, "application/yaml", "x: [" + strings.Repeat("1,", maxDeleteOptions/2) + "]", 413, false},
		{"a long body in JSON", secret, "application/json", `{"x":"` + strings.Repeat("x", maxDeleteOptions) + `"}`, 413, false},
		{"a long body in protobuf", secret, protobuf, encoded(false) + strings.Repeat("x", maxDeleteOptions), 413, false},
		{"a body of all that is read", secret, "application/json", `{"gracePeriodSeconds":0}` + strings.Repeat(" ", maxDeleteOptions-24), 200, false},
		{"the body in protobuf", secret, protobuf, encoded(true), 200, true},
		{"the body in protobuf, false", secret, protobuf, encoded(false), 200, false},
		{"a body that is nothing", secret, "application/json", `[1]`, 400, false},
		{"a body in another encoding", secret, "application/cbor", "\xa0", 415, false},
		{"a body for a pod", "/api/v1/namespaces/n/pods/p/proxy/x", "text/plain", parameter, 200, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			for rights, holds := range map[authorizer.UnconditionalAuthorizer]bool{withoutUnsafeDeletion{}: false, &authz.RBAC{All: true}: true} {
				kubernetes := &collection{kind: "Secret"}
				f := newFront(t, kubernetes.serve)
				f.proxy.options.Authorizer = rights
				want := test.code
				if test.unsafe && !holds {
					want = http.StatusForbidden
				}
				if code, text := f.send(t, http.MethodDelete, test.target, test.contentType, test.body); code != want || (len(kubernetes.deleted) > 0) != (want == 200) {
					t.Errorf("holds the power: %v: %d %s, want %d", holds, code, text, want)
				}
			}
		})
	}
}
