package oauthclient

import (
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/yaml"

	"github.com/super-kubenetes/ks-apiserver/pkg/config"
)

// TestProblems: what is wrong with a client is told when it is read, without its secret.
func TestProblems(t *testing.T) {
	for _, test := range []struct{ name, content, want string }{
		{"a right one", "name: a\nsecret: hunter2\ngrantMethod: prompt\nredirectURIs: [https://a.example.com/cb, 'com.example:/cb']\n", ""},
		{"no YAML", "name: [\nsecret: hunter2", "not the YAML"},
		{"another type of value", "name: a\nsecret: {hunter2: 1}", "not the YAML"},
		{"no name", "secret: hunter2", "name is missing"},
		{"an unknown key", "name: a\nsecret: hunter2\nredirectUris: [https://a.example.com]", `unknown field "redirectUris"`},
		{"an unknown grant method", "name: a\nsecret: hunter2\ngrantMethod: Prompt", "grantMethod must be auto, prompt or deny"},
		{"a relative URI", "name: a\nsecret: hunter2\nredirectURIs: [/cb]", "redirectURIs[0] must be an absolute URL"},
		{"a fragment", "name: a\nsecret: hunter2\npostLogoutRedirectURIs: ['https://a/', 'https://a/#hunter2']", "postLogoutRedirectURIs[1] must be an absolute URL"},
		{"KubeSphere's star", "name: a\nsecret: hunter2\nredirectURIs: ['*']", "redirectURIs[0] is *"},
		{"a user of a public client", "name: a\nuser: robot", "user has no effect"},
		{"a negative time", "name: a\nsecret: hunter2\naccessTokenMaxAgeSeconds: -1", "must not be negative"},
	} {
		clients := &Clients{Namespace: "n", Now: time.Now, Reader: fake.NewClientBuilder().WithObjects(stored("s", "n", test.content)).Build()}
		problems, err := clients.Problems(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		text := ""
		for _, problem := range problems {
			if problem.Text != "the type of the Secret is not "+string(SecretType) { // the fixture has none
				text += problem.String()
			}
		}
		if (text == "") != (test.want == "") || !strings.Contains(text, test.want) || strings.Contains(text, "hunter2") {
			t.Errorf("%s: %q", test.name, text)
		}
	}
}

// TestNameTwice: of two clients of a name the second is left out, and told.
func TestNameTwice(t *testing.T) {
	clients := &Clients{
		Namespace: "n", Now: time.Now, Configured: []config.Client{{Name: "filed", Secret: "x"}},
		Reader: fake.NewClientBuilder().WithObjects(stored("a", "n", "name: twice\nsecret: first"), stored("b", "n", "name: twice\nsecret: second"), stored("c", "n", "name: filed\nsecret: y")).Build(),
	}
	problems, err := clients.Problems(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]bool{}
	for _, problem := range problems {
		said[problem.Secret+" "+problem.Text] = true
	}
	if found, err := clients.Find(t.Context(), "twice"); err != nil || found.Secret != "first" || !said["b another OAuth client has this name"] || !said["c another OAuth client has this name"] || said["a another OAuth client has this name"] {
		t.Errorf("%v, %v, said %v", found, err, said)
	}
}

// TestUnknownGrantMethod: a misspelt grant method asks the user.
func TestUnknownGrantMethod(t *testing.T) {
	for method, want := range map[string]string{"": config.GrantAuto, "Prompt": config.GrantPrompt, "DENY": config.GrantPrompt, "auto": config.GrantAuto, "deny": config.GrantDeny} {
		if got := (&Client{Trusted: true, GrantMethod: method}).Grants(); got != want {
			t.Errorf("%q is %s", method, got)
		}
	}
}

// TestDocumentedClient: the example in the documents has no problem.
func TestDocumentedClient(t *testing.T) {
	document, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(document), "## OAuth clients in Secrets")
	_, block, found := strings.Cut(section, "```yaml\n")
	block, _, _ = strings.Cut(block, "```")
	secret := &corev1.Secret{}
	if err := yaml.UnmarshalStrict([]byte(block), secret); err != nil || !found {
		t.Fatalf("%q: %v", block, err)
	}
	secret.Data = map[string][]byte{SecretKey: []byte(secret.StringData[SecretKey])}
	c, problems := parse(secret)
	if c == nil || len(problems) > 0 || len(c.RedirectURIs) == 0 || c.Public() || secret.Labels[Label] != LabelValue {
		t.Errorf("it is %+v, with %q", c, problems)
	}
}
