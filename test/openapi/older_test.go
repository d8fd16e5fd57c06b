package openapi

import (
	"regexp"
	"strings"
	"testing"

	"github.com/super-kubenetes/ks-apiserver/pkg/app"
)

// older are the operations of v3.3.2 and v3.4.1 that need nothing but
// Kubernetes, in the groups resources, config, terminal, operations and gateway,
// the numbers of monitoring that are counted, and the version. Those of iam and
// tenant are compared where they are served.
const older = `
DELETE /kapis/gateway.kubesphere.io/v1alpha1/namespaces/{namespace}/gateways
DELETE /kapis/resources.kubesphere.io/v1alpha2/namespaces/{namespace}/router
GET /kapis/config.kubesphere.io/v1alpha2/configs/configz
GET /kapis/config.kubesphere.io/v1alpha2/configs/gpu/kinds
GET /kapis/config.kubesphere.io/v1alpha2/configs/oauth
GET /kapis/gateway.kubesphere.io/v1alpha1/gateways
GET /kapis/gateway.kubesphere.io/v1alpha1/namespaces/{namespace}/gateways
GET /kapis/gateway.kubesphere.io/v1alpha1/namespaces/{namespace}/gateways/{gateway}/pods
GET /kapis/monitoring.kubesphere.io/v1alpha3/kubesphere
GET /kapis/resources.kubesphere.io/v1alpha2/abnormalworkloads
GET /kapis/resources.kubesphere.io/v1alpha2/componenthealth
GET /kapis/resources.kubesphere.io/v1alpha2/components
GET /kapis/resources.kubesphere.io/v1alpha2/components/{component}
GET /kapis/resources.kubesphere.io/v1alpha2/namespaces/{namespace}/abnormalworkloads
GET /kapis/resources.kubesphere.io/v1alpha2/namespaces/{namespace}/daemonsets/{daemonset}/revisions/{revision}
GET /kapis/resources.kubesphere.io/v1alpha2/namespaces/{namespace}/deployments/{deployment}/revisions/{revision}
GET /kapis/resources.kubesphere.io/v1alpha2/namespaces/{namespace}/quotas
GET /kapis/resources.kubesphere.io/v1alpha2/namespaces/{namespace}/router
GET /kapis/resources.kubesphere.io/v1alpha2/namespaces/{namespace}/statefulsets/{statefulset}/revisions/{revision}
GET /kapis/resources.kubesphere.io/v1alpha2/namespaces/{namespace}/{resources}
GET /kapis/resources.kubesphere.io/v1alpha2/quotas
GET /kapis/resources.kubesphere.io/v1alpha2/users/{user}/kubeconfig
GET /kapis/resources.kubesphere.io/v1alpha2/users/{user}/kubectl
GET /kapis/resources.kubesphere.io/v1alpha2/{resources}
GET /kapis/resources.kubesphere.io/v1alpha3/componenthealth
GET /kapis/resources.kubesphere.io/v1alpha3/components
GET /kapis/resources.kubesphere.io/v1alpha3/components/{component}
GET /kapis/resources.kubesphere.io/v1alpha3/namespaces/{namespace}/{resources}
GET /kapis/resources.kubesphere.io/v1alpha3/namespaces/{namespace}/{resources}/{name}
GET /kapis/resources.kubesphere.io/v1alpha3/{resources}
GET /kapis/resources.kubesphere.io/v1alpha3/{resources}/{name}
GET /kapis/terminal.kubesphere.io/v1alpha2/namespaces/{namespace}/pods/{pod}/exec
GET /kapis/terminal.kubesphere.io/v1alpha2/nodes/{nodename}/exec
GET /kapis/version
GET /version
POST /kapis/gateway.kubesphere.io/v1alpha1/namespaces/{namespace}/gateways
POST /kapis/gateway.kubesphere.io/v1alpha1/namespaces/{namespace}/gateways/{gateway}/upgrade
POST /kapis/operations.kubesphere.io/v1alpha2/namespaces/{namespace}/jobs/{job}
POST /kapis/resources.kubesphere.io/v1alpha2/namespaces/{namespace}/router
PUT /kapis/gateway.kubesphere.io/v1alpha1/namespaces/{namespace}/gateways
PUT /kapis/resources.kubesphere.io/v1alpha2/namespaces/{namespace}/router
`

// TestOlderOperations: clients of these versions find what they call.
func TestOlderOperations(t *testing.T) {
	parameter := regexp.MustCompile(`\{[^}]*\}`)
	served := make(map[string]bool)
	groups := app.Routes()
	for g := range groups {
		for n := range groups[g].Routes {
			r := &groups[g].Routes[n]
			served[parameter.ReplaceAllString(r.Method+" "+strings.Replace(groups[g].Path(r), "//", "/", 1), "{}")] = true
		}
	}
	count := 0
	for operation := range strings.Lines(older) {
		if operation = strings.TrimSpace(operation); operation == "" {
			continue
		}
		count++
		if !served[parameter.ReplaceAllString(operation, "{}")] {
			t.Errorf("%s is not served", operation)
		}
	}
	if count < 40 {
		t.Errorf("only %d operations are compared", count)
	}
}
