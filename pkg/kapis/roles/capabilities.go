package roles

import (
	"context"
	"encoding/json"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"
)

// rulesPath is the annotation that says which pages a role opens in the console.
const rulesPath = `metadata.annotations.iam\.kubesphere\.io/role-template-rules`

// Capabilities says which pages of the console have a service behind them. The
// console shows what the roles of its user allow, whether it is served or not.
type Capabilities interface {
	// Offers reports whether what the pages of a capability ask for is served.
	Offers(ctx context.Context, capability string) bool
}

// offered is a template without the capabilities nothing serves. The templates
// themselves stay: a role keeps what it allows, for when it is served.
func (h *Handler) offered(ctx context.Context, template string) string {
	var rules map[string]string
	if h.Capabilities == nil || json.Unmarshal([]byte(gjson.Get(template, rulesPath).Str), &rules) != nil {
		return template
	}
	before := len(rules)
	for capability := range rules {
		if !h.Capabilities.Offers(ctx, capability) {
			delete(rules, capability)
		}
	}
	if len(rules) == before {
		return template
	}
	text, err := json.Marshal(rules)
	if err != nil {
		return template
	}
	shown, err := sjson.Set(template, rulesPath, string(text))
	if err != nil {
		return template
	}
	return shown
}
