package gateways

import (
	"context"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// holder holds everything or nothing.
type holder bool

func (h holder) Covers(_ context.Context, _ user.Info, _ authz.Scope, rules []rbacv1.PolicyRule) ([]rbacv1.PolicyRule, error) {
	if h {
		return nil, nil
	}
	return rules, nil
}

func withSetting(part, field, key, value string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{part: map[string]any{field: map[string]any{key: value}}}}}
}

// TestSettings: the gateways of all projects share a namespace and a service
// account, which a setting of one must not reach.
func TestSettings(t *testing.T) {
	for _, test := range []struct {
		part, field, key, value string
		safe                    bool
	}{
		{"controller", "config", "max-worker-connections", "4096", true},
		{"controller", "config", "proxy-body-size", "8m", true},
		{"controller", "config", "ssl-protocols", "TLSv1.2 TLSv1.3", true},
		{"controller", "config", "hsts", "false", true},
		{"controller", "config", "http-snippet", "x", false},
		{"controller", "config", "main-snippet", "load_module x", false},
		{"controller", "config", "Server-Snippet", "x", false},
		{"controller", "config", "allow-snippet-annotations", "true", false},
		{"controller", "config", "annotations-risk-level", "Critical", false},
		{"controller", "config", "global-auth-url", "http://x", false},
		{"controller", "config", "proxy-set-headers", "other/headers", false},
		{"controller", "config", "add-headers", "other/headers", false},
		{"controller", "config", "error-log-path", "/etc/x", false},
		{"controller", "config", "log-format-upstream", "x", false},
		{"controller", "config", "lua-shared-dicts", "a: 1", false},
		{"controller", "config", "proxy-body-size", "8m; } location /x { root /", false},
		{"controller", "config", "keep-alive", "75\nroot /;", false},
		{"controller", "config", "keep-alive", "$ssl_server_name", false},
		{"controller", "annotations", "sidecar.istio.io/inject", "true", true},
		{"controller", "annotations", "prometheus.io/scrape", "true", true},
		{"deployment", "annotations", "sidecar.istio.io/inject", "true", true},
		{"deployment", "annotations", "sidecar.istio.io/userVolume", "[]", false},
		{"controller", "annotations", "vault.hashicorp.com/agent-inject", "true", false},
		{"controller", "annotations", "container.apparmor.security.beta.kubernetes.io/controller", "unconfined", false},
		{"service", "annotations", "service.beta.kubernetes.io/aws-load-balancer-type", "nlb", true},
	} {
		wanted := withSetting(test.part, test.field, test.key, test.value)
		err := (&Handler{Rights: holder(false)}).checkSettings(t.Context(), nil, wanted)
		if (err == nil) != test.safe || err != nil && status.Of(err).Code != 403 {
			t.Errorf("%s.%s %s=%q: %v", test.part, test.field, test.key, test.value, err)
		}
		if err := (&Handler{Rights: holder(true)}).checkSettings(t.Context(), nil, wanted); err != nil {
			t.Errorf("%s by who may do everything: %v", test.key, err)
		}
		if err := (&Handler{Rights: holder(false)}).checkSettings(t.Context(), wanted, wanted); err != nil {
			t.Errorf("%s that is there already: %v", test.key, err)
		}
	}
	number := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"controller": map[string]any{"config": map[string]any{"a": int64(1)}}}}}
	if err := (&Handler{Rights: holder(true)}).checkSettings(t.Context(), nil, number); err == nil || status.Of(err).Code != 400 {
		t.Errorf("a number: %v", err)
	}
}
