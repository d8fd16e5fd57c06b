package providers

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
)

// TestProblems: what is wrong with a provider is known before somebody logs in, and
// names where it is.
func TestProblems(t *testing.T) {
	log := logged(t)
	untyped := secret("untyped", fmt.Sprintf(stored, "untyped"))
	untyped.Type = ""
	unknown := fmt.Sprintf(stored, "unknown") + "tittle: Them\n"
	option := "name: option\ntype: GitlabIdentityProvider\nprovider: {clientID: us, clientSecret: our-secret, scope: our-secret}\n"
	now := time.Now()
	s := &Set{
		Namespace: kube.Namespace, Now: func() time.Time { return now },
		Configured: func() ([]config.IdentityProvider, error) {
			magic := atGitLab("magic")
			magic.Type = "Magic"
			return []config.IdentityProvider{atGitLab("right"), magic}, nil
		},
		Reader: fake.NewClientBuilder().WithObjects(
			secret("a-right-one", fmt.Sprintf(stored, "stored")), secret("broken", "name: [our-secret"), untyped, secret("unknown", unknown), secret("option", option), secret("twice", fmt.Sprintf(stored, "right")),
		).Build(),
	}
	for range 2 { // what was built before is told again
		problems, err := s.Problems(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, problem := range problems {
			lines = append(lines, problem.String())
		}
		all := strings.Join(lines, "\n")
		for _, want := range []string{
			"magic: type is unknown", "Secret broken: the key configuration.yaml is not the YAML", "Secret untyped: the type of the Secret is not",
			`unknown (Secret unknown): unknown field "tittle"`, `option (Secret option): provider: unknown field "scope"`, "right (Secret twice): another identity provider has this name",
		} {
			if !strings.Contains(all, want) {
				t.Errorf("%q is not in\n%s", want, all)
			}
		}
		if len(lines) != 6 || strings.Contains(all+log.String(), "our-secret") {
			t.Errorf("%d problems\n%s", len(lines), all)
		}
		now = now.Add(time.Minute)
	}
	if all, err := s.List(t.Context()); err != nil || len(all) != 4 {
		t.Errorf("there are %d, %v", len(all), err)
	}
}
