package gateways

import (
	"context"
	"encoding/json"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
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

func (holder) Names() *reserved.Register { return nil }

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
		err := (&Handler{Rights: holder(false)}).checkSettings(t.Context(), "p1", nil, wanted)
		if (err == nil) != test.safe || err != nil && status.Of(err).Code != 403 {
			t.Errorf("%s.%s %s=%q: %v", test.part, test.field, test.key, test.value, err)
		}
		if err := (&Handler{Rights: holder(true)}).checkSettings(t.Context(), "p1", nil, wanted); err != nil {
			t.Errorf("%s by who may do everything: %v", test.key, err)
		}
		if err := (&Handler{Rights: holder(false)}).checkSettings(t.Context(), "p1", wanted, wanted); err != nil {
			t.Errorf("%s that is there already: %v", test.key, err)
		}
	}
	number := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"controller": map[string]any{"config": map[string]any{"a": int64(1)}}}}}
	if err := (&Handler{Rights: holder(true)}).checkSettings(t.Context(), "p1", nil, number); err == nil || status.Of(err).Code != 400 {
		t.Errorf("a number: %v", err)
	}
}

// TestCosts: the pods of a gateway run where the quota of its project does not count
// them.
func TestCosts(t *testing.T) {
	spec := func(text string) *unstructured.Unstructured {
		t.Helper()
		gateway := &unstructured.Unstructured{Object: map[string]any{}}
		sent := &unstructured.Unstructured{}
		if err := json.Unmarshal([]byte(text), &sent.Object); err != nil {
			t.Fatal(err)
		}
		if err := (&Handler{Namespace: "gateways"}).replace(gateway, sent, "p1"); err != nil {
			t.Fatal(err)
		}
		return gateway
	}
	const (
		huge = `{"spec":{"deployment":{"replicas":100000,"resources":{"requests":{"cpu":"64","memory":"512Gi"}}}}}`
		many = `{"spec":{"deployment":{"replicas":100000}}}`
	)
	for _, test := range []struct {
		name, present, wanted string
		allowed               bool
	}{
		{"the numbers of the console", "", `{"spec":{"controller":{"replicas":10},"deployment":{"replicas":10},"service":{"type":"NodePort"}}}`, true},
		{"replicas and resources", "", huge, false},
		{"more replicas of the deployment", "", `{"spec":{"deployment":{"replicas":11}}}`, false},
		{"more replicas of the controller", "", `{"spec":{"controller":{"replicas":11}}}`, false},
		{"replicas in an exponent", "", `{"spec":{"deployment":{"replicas":1e5}}}`, false},
		{"replicas as a text", "", `{"spec":{"deployment":{"replicas":"100000"}}}`, false},
		{"requests", "", `{"spec":{"deployment":{"resources":{"requests":{"cpu":"1"}}}}}`, false},
		{"limits", "", `{"spec":{"deployment":{"resources":{"limits":{"cpu":"1"}}}}}`, false},
		{"more replicas by an update", `{"spec":{"deployment":{"replicas":2}}}`, many, false},
		{"what is there already", huge, huge, true},
		{"fewer of what is there", many, `{"spec":{"deployment":{"replicas":500}}}`, true},
		{"more of what is there", many, `{"spec":{"deployment":{"replicas":100001}}}`, false},
		{"other resources than are there", huge, `{"spec":{"deployment":{"resources":{"requests":{"cpu":"65","memory":"512Gi"}}}}}`, false},
		{"no resources any more", huge, `{"spec":{}}`, true},
		{"the mark of the server", "", `{"metadata":{"labels":{"app.kubernetes.io/managed-by":"ks-apiserver"}}}`, false},
		{"the server's annotation", "", `{"metadata":{"annotations":{"ks-apiserver.kubesphere.io/x":"y"}}}`, false},
		{"a label", "", `{"metadata":{"labels":{"app.kubernetes.io/managed-by":"helm"}}}`, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			var present *unstructured.Unstructured
			if test.present != "" {
				present = spec(test.present)
			}
			for _, all := range []holder{false, true} {
				err := (&Handler{Rights: all}).checkSettings(t.Context(), "p1", present, spec(test.wanted))
				if (err == nil) != (test.allowed || bool(all)) || err != nil && status.Of(err).Code != 403 {
					t.Errorf("all rights %v: %v", all, err)
				}
			}
		})
	}
}
