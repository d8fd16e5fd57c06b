package deploy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// TestPoliciesWarn: as installed, the admission policies say what they would refuse,
// and let it through.
func TestPoliciesWarn(t *testing.T) {
	const project, account = "policies-warn", "system:serviceaccount:policies-warn:builder"
	kubectl(t, "create", "namespace", project)
	role := "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: admin, namespace: " + project + "}\nrules: [{apiGroups: ['*'], resources: ['*'], verbs: ['*']}]\n"
	if _, err := run(t.Context(), role, kubectlPath, "create", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	kubectl(t, "-n", project, "create", "rolebinding", "builder", "--role=admin", "--serviceaccount="+project+":builder")
	label := func(further ...string) error {
		_, err := run(t.Context(), "", kubectlPath, append([]string{"--as", account, "--warnings-as-errors",
			"label", "--overwrite", "namespace", project, "kubesphere.io/workspace=other"}, further...)...)
		return err
	}
	wait.For(t, "the policies to be known", func() error {
		if err := label("--dry-run=server"); err == nil || !strings.Contains(err.Error(), "owned-labels.kubesphere.io") {
			return fmt.Errorf("no warning: %s", fmt.Sprint(err))
		}
		return nil
	})
	err := label()
	if err == nil {
		t.Fatal("no warning")
	}
	for _, want := range []string{"Warning: Validation failed for ValidatingAdmissionPolicy 'owned-labels.kubesphere.io'", `user "` + account + `" cannot change the label kubesphere.io/workspace`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the warning does not say %q: %v", want, err)
		}
	}
	if got := kubectl(t, "get", "namespace", project, "-o", `jsonpath={.metadata.labels.kubesphere\.io/workspace}`); got != "other" {
		t.Errorf("it was refused: the label is %q", got)
	}
}

// TestExemptionsAreAccepted: Kubernetes compiles what the chart adds to the policies,
// and lets the exempt account through without a word.
func TestExemptionsAreAccepted(t *testing.T) {
	rendered, err := template(t, flags([]string{"admissionPolicyExemptions[0]=system:serviceaccount:policies-exempt:builder"})...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := run(t.Context(), rendered, kubectlPath, "apply", "--dry-run=server", "--warnings-as-errors", "-f", "-"); err != nil {
		t.Error(err)
	}
}
