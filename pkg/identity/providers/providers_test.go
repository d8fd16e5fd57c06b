package providers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
)

// logged collects what is logged meanwhile.
func logged(t *testing.T) *bytes.Buffer {
	t.Helper()
	log, before := &bytes.Buffer{}, slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(log, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	return log
}

func atGitLab(name string) config.IdentityProvider {
	return config.IdentityProvider{Name: name, Type: "GitlabIdentityProvider", Provider: config.Section{"clientID": "us", "clientSecret": "our-secret"}}
}

func TestBuild(t *testing.T) {
	for _, test := range []struct {
		name, message string // "" when it is fine
		change        func(*config.IdentityProvider)
	}{
		{"fine", "", func(*config.IdentityProvider) {}},
		{"mixed", "", func(c *config.IdentityProvider) { c.MappingMethod = "mixed" }},
		{"LDAP", "", func(c *config.IdentityProvider) {
			c.Type, c.Provider = "LDAPIdentityProvider", config.Section{"host": "ldap:389", "userSearchBase": "dc=example", "managerDN": "cn=m", "managerPassword": "our-secret", "readTimeout": 15000}
		}},
		{"OIDC", "", func(c *config.IdentityProvider) {
			c.Type, c.Provider["issuer"] = "OIDCIdentityProvider", "https://id.example.com"
		}},
		{"CAS", "", func(c *config.IdentityProvider) {
			c.Type, c.Provider = "CASIdentityProvider", config.Section{"casServerURL": "https://cas.example.com/cas"}
		}},
		{"an option of another version", "", func(c *config.IdentityProvider) { c.Provider["added"] = "our-secret" }},
		{"no name", "name", func(c *config.IdentityProvider) { c.Name = "" }},
		{"a name that is a path", "name", func(c *config.IdentityProvider) { c.Name = "../token" }},
		{"a name no annotation can have", "name", func(c *config.IdentityProvider) { c.Name = strings.Repeat("a", 46) }},
		{"an unknown type", "type", func(c *config.IdentityProvider) { c.Type = "Magic" }},
		{"an unknown method", "mappingMethod", func(c *config.IdentityProvider) { c.MappingMethod = "claim" }},
		{"a group of Kubernetes'", "groupMapping", func(c *config.IdentityProvider) {
			c.GroupMapping = map[string]string{"admins": "System:masters"}
		}},
		{"a missing option", "clientID", func(c *config.IdentityProvider) { delete(c.Provider, "clientID") }},
		{"an option of another type", "clientID", func(c *config.IdentityProvider) { c.Provider["clientID"] = []string{"our-secret"} }},
		{"an endpoint that is none", "authURL", func(c *config.IdentityProvider) {
			c.Provider["endpoint"] = map[string]any{"authURL": "javascript:our-secret"}
		}},
		{"an endpoint with a password", "tokenURL", func(c *config.IdentityProvider) {
			c.Provider["endpoint"] = map[string]any{"tokenURL": "https://us:our-secret@example.com"}
		}},
		{"IDaaS without endpoints", "endpoint", func(c *config.IdentityProvider) { c.Type = "AliyunIDaaSProvider" }},
		{"OIDC without an issuer", "issuer", func(c *config.IdentityProvider) { c.Type = "OIDCIdentityProvider" }},
		{"CAS without a server", "casServerURL", func(c *config.IdentityProvider) { c.Type, c.Provider = "CASIdentityProvider", nil }},
	} {
		t.Run(test.name, func(t *testing.T) {
			log := logged(t)
			c := atGitLab("them")
			test.change(&c)
			p, err := build(t.Context(), c, time.Now)
			if test.message == "" {
				if err != nil || p.Name != "them" || (p.Password == nil) == (p.Redirect == nil) || p.Mapping.Method == "" {
					t.Fatalf("got %+v, %v", p, err)
				}
				if p.Public != nil && p.Redirect != nil && c.Type != "OIDCIdentityProvider" { // which would ask its issuer
					shown, err := json.Marshal(p.Public(t.Context()))
					if err != nil || strings.Contains(string(shown), "secret") {
						t.Errorf("public: %s, %v", shown, err)
					}
				}
			} else if err == nil || !strings.Contains(err.Error(), test.message) {
				t.Fatalf("got %v", err)
			}
			if said := log.String() + fmt.Sprint(err); strings.Contains(said, "our-secret") {
				t.Errorf("it tells a secret: %s", said)
			}
		})
	}
}

func secret(name, content string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: kube.Namespace, Labels: map[string]string{Label: LabelValue}},
		Type:       SecretType, Data: map[string][]byte{SecretKey: []byte(content)},
	}
}

const stored = "name: %s\ntype: GitlabIdentityProvider\nmappingMethod: lookup\ndisplayName: Them\nprovider: {clientID: us, clientSecret: our-secret}\n"

// TestSet: what is configured changes while the set is used, and what is wrong
// is in nobody else's way.
func TestSet(t *testing.T) {
	log := logged(t)
	away, now := false, time.Now()
	var file []config.IdentityProvider
	var broken error
	other := secret("of-another-type", fmt.Sprintf(stored, "untyped"))
	other.Type = corev1.SecretTypeOpaque
	elsewhere := secret("elsewhere", fmt.Sprintf(stored, "elsewhere"))
	elsewhere.Namespace = "default"
	unlabelled := secret("unlabelled", fmt.Sprintf(stored, "unlabelled"))
	unlabelled.Labels = nil
	c := fake.NewClientBuilder().WithObjects(other, elsewhere, unlabelled).WithInterceptorFuncs(interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			if away {
				return errors.New("away")
			}
			return c.List(ctx, list, options...)
		},
	}).Build()
	s := &Set{
		Configured: func() ([]config.IdentityProvider, error) { return file, broken },
		Reader:     c, Namespace: kube.Namespace, Now: func() time.Time { return now },
	}
	create := func(o client.Object) {
		t.Helper()
		if err := c.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	var kept *identity.Provider
	for _, step := range []struct {
		name   string
		change func()
		want   string
		fails  bool
	}{
		{"Kubernetes is away", func() { away, file = true, []config.IdentityProvider{atGitLab("a")} }, "a", true},
		{"and comes", func() { away = false }, "a", false},
		{"a Secret is added", func() { create(secret("b", fmt.Sprintf(stored, "b"))) }, "a b", false},
		{"the file changes", func() { file = []config.IdentityProvider{atGitLab("c"), atGitLab("a")} }, "c a b", false},
		{"the file is broken", func() { file, broken = nil, errors.New("line 1: broken") }, "c a b", false},
		{"and is repaired", func() { file, broken = []config.IdentityProvider{atGitLab("a")}, nil }, "a b", false},
		{"wrong ones come", func() {
			create(secret("d", "name: [our-secret\n"))
			create(secret("e", "name: e\ntype: Magic\nprovider: {clientSecret: our-secret}\n"))
			create(secret("f", "name: [our-secret]\n"))
			file = append([]config.IdentityProvider{{Name: "x"}}, file...)
		}, "a b", false},
		{"one of the same name comes", func() { create(secret("g", fmt.Sprintf(stored, "a"))) }, "a b", false},
		{"a disabled one comes", func() { create(secret("h", "disabled: true\n"+fmt.Sprintf(stored, "h"))) }, "a b", false},
		{"Kubernetes goes", func() { away = true }, "a b", false},
		{"and comes back", func() { away = false }, "a b", false},
		{"a Secret is removed", func() {
			if err := c.Delete(t.Context(), secret("b", "")); err != nil {
				t.Fatal(err)
			}
		}, "a", false},
	} {
		step.change()
		now = now.Add(readEvery + time.Second)
		all, err := s.List(t.Context())
		var names []string
		for _, p := range all {
			names = append(names, p.Name)
			found, err := s.Provider(t.Context(), p.Name)
			if found != p || err != nil && !step.fails {
				t.Errorf("%s: %s is %v, %v", step.name, p.Name, found, err)
			}
		}
		if got := strings.Join(names, " "); got != step.want || (err != nil) != step.fails {
			t.Fatalf("%s: got %s, %v", step.name, got, err)
		}
		if a, _ := s.Provider(t.Context(), "a"); kept != nil && a != kept {
			t.Errorf("%s: a provider that did not change was built again", step.name)
		} else {
			kept = a
		}
		if none, err := s.Provider(t.Context(), "none"); none != nil || (err != nil) != step.fails {
			t.Errorf("%s: none is %v, %v", step.name, none, err)
		}
	}
	if b := log.String(); strings.Contains(b, "our-secret") || strings.Count(b, "provider=e") != 1 {
		t.Errorf("logged:\n%s", b)
	}
}
