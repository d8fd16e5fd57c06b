package roles

import (
	"encoding/json"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// TestListVerbs: a role of a namespace is stored with its verbs listed, whatever the
// client or the template says; roles of other kinds, and what needs no change, are
// stored as they came.
func TestListVerbs(t *testing.T) {
	const eight = `["get","list","watch","create","update","patch","delete","deletecollection"]`
	for _, test := range []struct{ name, kind, rules, want string }{
		{"a star", "Role", `[{"verbs":["*"],"apiGroups":[""],"resources":["pods"]}]`, `[{"apiGroups":[""],"resources":["pods"],"verbs":` + eight + `}]`},
		{"names", "Role", `[{"verbs":["get"],"apiGroups":[""],"resources":["pods"],"comment":"kept"}]`, `[{"apiGroups":[""],"comment":"kept","resources":["pods"],"verbs":["get"]}]`},
		{"nothing", "Role", `null`, `null`},
		{"a workspace role", "WorkspaceRole", `[{"verbs":["*"],"apiGroups":["*"],"resources":["*"]}]`, `[{"apiGroups":["*"],"resources":["*"],"verbs":["*"]}]`},
	} {
		var rules any
		if err := json.Unmarshal([]byte(test.rules), &rules); err != nil {
			t.Fatal(err)
		}
		object := &unstructured.Unstructured{Object: map[string]any{"rules": rules}}
		for _, k := range kinds() {
			if k.Kind != test.kind {
				continue
			}
			if err := listVerbs(&k, object); err != nil {
				t.Errorf("%s: %v", test.name, err)
			}
		}
		got, err := json.Marshal(object.Object["rules"])
		if err != nil || string(got) != test.want {
			t.Errorf("%s: %s, %v", test.name, got, err)
		}
	}
}
