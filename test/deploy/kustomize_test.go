package deploy

import (
	"context"
	"regexp"
	"strings"
	"testing"
)

func TestDeploymentBecomesAvailable(t *testing.T) {
	kubectl(t, "-n", namespace, "rollout", "status", "deployment/ks-apiserver", "--timeout=90s")
	available := kubectl(t, "-n", namespace, "get", "deployment", "ks-apiserver",
		"-o", "jsonpath={.status.availableReplicas}")
	if available != "2" {
		t.Errorf("available replicas: got %q, want 2", available)
	}
}

// TestApplyAgainChangesNothing: a base that is rewritten by each apply would
// restart the server, or undo what a person has changed.
func TestApplyAgainChangesNothing(t *testing.T) {
	// Not the words of apply: it calls a PodDisruptionBudget "configured" whenever
	// it has a selector. diff fails when the server would change anything.
	kubectl(t, "diff", "-k", baseDir)
}

// TestExposeAsNodePort is the first step of the guide, word for word.
func TestExposeAsNodePort(t *testing.T) {
	t.Cleanup(func() {
		// t.Context is done by now.
		if _, err := run(context.Background(), "", kubectlPath, "apply", "-k", baseDir); err != nil {
			t.Error(err)
		}
	})
	kubectl(t, "-n", namespace, "patch", "service", "ks-apiserver",
		"-p", `{"spec":{"type":"NodePort"}}`)
	out := kubectl(t, "-n", namespace, "get", "svc")
	want := regexp.MustCompile(`(?m)^ks-apiserver\s+NodePort\s+\S+\s+\S+\s+80:3\d{4}/TCP\s`)
	if !want.MatchString(out) {
		t.Errorf("get svc shows no node port for port 80:\n%s", out)
	}
}

// TestConfigIsWhereTheConsoleReadsIt, and is what the pods are started with.
func TestConfigIsWhereTheConsoleReadsIt(t *testing.T) {
	config := kubectl(t, "-n", namespace, "get", "configmap", "kubesphere-config",
		"-o", `jsonpath={.data.kubesphere\.yaml}`)
	if !strings.Contains(config, "authentication:") {
		t.Errorf("kubesphere.yaml of the ConfigMap kubesphere-config: %q", config)
	}
	mounted := kubectl(t, "-n", namespace, "get", "deployment", "ks-apiserver",
		"-o", "jsonpath={.spec.template.spec.volumes[0].configMap.name} "+
			"{.spec.template.spec.containers[0].volumeMounts[0].mountPath}")
	if mounted != "kubesphere-config /etc/kubesphere" {
		t.Errorf("the pods mount %q", mounted)
	}
}

// TestPodsAreRestricted asks the admission that clusters use: a namespace that
// enforces the restricted Pod Security Standard has to take the pods as they are.
func TestPodsAreRestricted(t *testing.T) {
	kubectl(t, "-n", namespace, "rollout", "status", "deployment/ks-apiserver", "--timeout=90s")
	// Admission warns of pods that exist and would be refused.
	kubectl(t, "label", "--dry-run=server", "--warnings-as-errors", "namespace", namespace,
		"pod-security.kubernetes.io/enforce=restricted")
}
