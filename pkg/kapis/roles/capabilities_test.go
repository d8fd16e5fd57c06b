package roles

import (
	"context"
	"testing"

	"github.com/tidwall/gjson"
)

type offers map[string]bool

func (o offers) Offers(_ context.Context, capability string) bool { return o[capability] }

func TestOffered(t *testing.T) {
	const all = `{"metadata":{"name":"t","annotations":{"iam.kubesphere.io/role-template-rules":"{\"applications\": \"view\", \"pods\": \"view\"}"}}}`
	for _, test := range []struct {
		name, template, want string
		capabilities         Capabilities
	}{
		{"everything is served", all, `{"applications": "view", "pods": "view"}`, offers{"applications": true, "pods": true}},
		{"nobody says", all, `{"applications": "view", "pods": "view"}`, nil},
		{"one is not", all, `{"pods":"view"}`, offers{"pods": true}},
		{"none is", all, `{}`, offers{}},
		{"no annotation", `{"metadata":{"name":"t"}}`, "", offers{}},
		{"no rules", `{"metadata":{"annotations":{"iam.kubesphere.io/role-template-rules":"[]"}}}`, "[]", offers{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := &Handler{Capabilities: test.capabilities}
			if got := gjson.Get(h.offered(t.Context(), test.template), rulesPath).Str; got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}
