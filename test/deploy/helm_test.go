package deploy

import (
	"strings"
	"testing"
)

// TestChartIsAccepted lets Kubernetes itself validate what the chart renders.
func TestChartIsAccepted(t *testing.T) {
	tests := []struct {
		name string
		set  []string
		want []string // parts of the rendered text
	}{
		{
			name: "defaults",
			want: []string{"type: ClusterIP", "image: \"ks-apiserver:v3.4.0\"", "replicas: 2"},
		},
		{
			name: "node port of its own choice",
			set:  []string{"service.type=NodePort", "service.nodePort=30881"},
			want: []string{"type: NodePort", "nodePort: 30881"},
		},
		{
			name: "node port chosen by Kubernetes",
			set:  []string{"service.type=NodePort"},
			want: []string{"type: NodePort"},
		},
		{
			name: "load balancer",
			set:  []string{"service.type=LoadBalancer"},
			want: []string{"type: LoadBalancer"},
		},
		{
			name: "password of admin in a Secret",
			set:  []string{"adminPassword.existingSecret=initial-password"},
			want: []string{"name: KUBESPHERE_ADMIN_PASSWORD", "name: initial-password"},
		},
		{
			name: "image from a private registry",
			set: []string{"image.repository=registry.example.com:5000/a/ks-apiserver", "image.tag=v1",
				"image.pullSecrets[0]=registry", "image.pullPolicy=Always"},
			want: []string{"image: \"registry.example.com:5000/a/ks-apiserver:v1\"", "imagePullPolicy: Always"},
		},
		{
			name: "size and place",
			set: []string{"replicas=5", "resources.limits.memory=8Gi", "resources.limits.cpu=1.5",
				"nodeSelector.disk=ssd", "tolerations[0].key=control-plane", "tolerations[0].operator=Exists"},
			want: []string{"replicas: 5", "memory: 8Gi", "disk: ssd", "key: control-plane"},
		},
		{
			name: "admission policies enforced, with exemptions",
			set:  []string{"admissionPolicies=Deny", "admissionPolicyExemptions[0]=system:serviceaccounts:flux-system"},
			want: []string{"validationActions: [Deny]", "name: caller-is-not-exempt-here", `g in ["system:serviceaccounts:flux-system"]`},
		},
		{
			name: "configuration is merged",
			set: []string{"config.authentication.multipleLogin=false",
				"config.authentication.oauthOptions.issuer=https://ks.example.com"},
			want: []string{"multipleLogin: false", "issuer: https://ks.example.com", "accessTokenMaxAge: 2h"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			rendered, err := template(t, flags(test.set)...)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range test.want {
				if !strings.Contains(rendered, want) {
					t.Errorf("not rendered: %s", want)
				}
			}
			if _, err := run(t.Context(), rendered, kubectlPath,
				"apply", "--dry-run=server", "--warnings-as-errors", "-f", "-"); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestChartRefuses values that would install something that doesn't work, or that
// would silently do nothing.
func TestChartRefuses(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want string // part of the message
	}{
		{"unknown value", flags([]string{"replicaCount=3"}), "additional properties 'replicaCount' not allowed"},
		{"unknown value below", flags([]string{"service.nodeport=30881"}), "additional properties 'nodeport' not allowed"},
		{"no replica", flags([]string{"replicas=0"}), "/replicas"},
		{"replicas as text", []string{"--set-string", "replicas=3"}, "/replicas"},
		{"unknown service type", flags([]string{"service.type=nodePort"}), "/service/type"},
		{"node port without a type that has one", flags([]string{"service.nodePort=30881"}), "/service/nodePort"},
		{"port out of range", flags([]string{"service.type=NodePort", "service.nodePort=70000"}), "/service/nodePort"},
		{"no memory limit", flags([]string{"resources.limits.memory=null"}), "missing property 'memory'"},
		{"not a quantity", flags([]string{"resources.limits.memory=2GB"}), "/resources/limits/memory"},
		{"no image", flags([]string{"image.repository="}), "/image/repository"},
		{"pull policy in lower case", flags([]string{"image.pullPolicy=always"}), "/image/pullPolicy"},
		{"a password instead of a Secret's name", flags([]string{"adminPassword.existingSecret=P@88w0rd"}), "/adminPassword/existingSecret"},
		{"unknown action of policies", flags([]string{"admissionPolicies=Audit"}), "/admissionPolicies"},
		{"an exemption that ends the expression", flags([]string{`admissionPolicyExemptions[0]=a"] || true`}), "/admissionPolicyExemptions/0"},
		{"policies where there are none", append(flags([]string{"admissionPolicies=Deny"}), "--kube-version", "1.29.0"), "admissionPolicies=Deny needs Kubernetes 1.30"},
		{"configuration as text", flags([]string{"config=authentication"}), "/config"},
		{"another namespace", []string{"--namespace", "default"}, "into the namespace kubesphere-system, not default"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := template(t, test.args...)
			if err == nil {
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("the message does not say %q:\n%v", test.want, err)
			}
		})
	}
}

// TestChartLint finds what rendering does not: a Chart.yaml helm can't publish.
func TestChartLint(t *testing.T) {
	if _, err := run(t.Context(), "", helmPath, "lint", "--strict", "--namespace", namespace, chartDir); err != nil {
		t.Error(err)
	}
}

// TestNotes: the notes are a template too, and only an installation renders it.
func TestNotes(t *testing.T) {
	for _, serviceType := range []string{"ClusterIP", "NodePort", "LoadBalancer"} {
		out, err := run(t.Context(), "", helmPath, "install", "ks-apiserver", chartDir,
			"--dry-run=client", "--namespace", namespace, "--set", "service.type="+serviceType)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"get svc ks-apiserver", "$API/oauth/token",
			"$API/kapis/resources.kubesphere.io/v1alpha3/nodes", "$API/swagger-ui/"} {
			if !strings.Contains(out, want) {
				t.Errorf("notes of a %s do not say %s:\n%s", serviceType, want, out)
			}
		}
	}
}

func flags(set []string) []string {
	var args []string
	for _, value := range set {
		args = append(args, "--set", value)
	}
	return args
}
