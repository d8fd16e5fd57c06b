package tenant

import (
	"context"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// Gateways is the resource of the gateways of projects.
var Gateways = schema.GroupResource{Group: "gateway.kubesphere.io", Resource: "gateways"}

// maxGatewayReplicas is the number of replicas users of a project may ask for. The pods
// of a gateway run outside of the project, where its quota does not count them.
const maxGatewayReplicas = 10

// freeGatewayFields are the fields of a gateway's specification that users of a project
// choose. The specification keeps fields that are not in its schema, and the controller
// passes them to the chart of the gateway: all others take the right to the gateways of
// the cluster.
var freeGatewayFields = map[string][]string{
	"controller": {"replicas", "annotations", "config", "scope"},
	"service":    {"annotations", "type"},
	"deployment": {"replicas", "annotations"},
}

// CheckGateway returns a forbidden error unless a user may give the gateway of a project
// the settings in which wanted differs from present, which is nil for a new one: settings that reach
// beyond its project take all rights in the cluster, settings that cost what the quota of
// the project does not count take the right to write the gateways of the cluster.
func CheckGateway(ctx context.Context, rights authz.Coverer, who user.Info, project string, present, wanted *unstructured.Unstructured) error {
	setting, err := gatewaySettingBeyondProject(project, present, wanted)
	if err != nil {
		return err
	}
	if setting != "" {
		held, err := authz.HoldsAll(ctx, rights, who, authz.Scope{Cluster: authz.ThisCluster})
		if err != nil || held {
			return err
		}
		return status.Forbidden(Gateways, wanted.GetName(), "%s reaches beyond the project, which takes all rights in the cluster", setting)
	}
	cost, err := gatewayCostBeyondProject(present, wanted)
	if err != nil || cost == "" {
		return err
	}
	verb := "update"
	if present == nil {
		verb = "create"
	}
	missing, err := rights.Covers(ctx, who, authz.Scope{Cluster: authz.ThisCluster}, []rbacv1.PolicyRule{{
		Verbs: []string{verb}, APIGroups: []string{Gateways.Group}, Resources: []string{Gateways.Resource},
	}})
	if err != nil || len(missing) == 0 {
		return err
	}
	return status.Forbidden(Gateways, wanted.GetName(), "%s, which the quota of the project does not count: it takes the right to %s gateways of the cluster", cost, verb)
}

// gatewayCostBeyondProject returns the setting of a gateway by which it costs more than
// users of a project decide about, empty when there is none. Settings a gateway has
// already may stay, and replicas may become fewer.
func gatewayCostBeyondProject(present, wanted *unstructured.Unstructured) (string, error) {
	before, err := gatewayPart(present, "spec")
	if err != nil {
		before = nil // the object is stored: all of it counts as changed
	}
	after, err := gatewayPart(wanted, "spec")
	if err != nil {
		return "", err
	}
	for _, name := range slices.Sorted(maps.Keys(after)) {
		path := "spec." + name
		free, known := freeGatewayFields[name]
		if !known {
			if !equality.Semantic.DeepEqual(before[name], after[name]) {
				return path + " is set", nil
			}
			continue
		}
		was, _ := before[name].(map[string]any)
		is, err := gatewayPart(wanted, "spec", name)
		if err != nil {
			return "", err
		}
		for _, field := range slices.Sorted(maps.Keys(is)) {
			switch {
			case equality.Semantic.DeepEqual(was[field], is[field]):
			case !slices.Contains(free, field):
				return path + "." + field + " is set", nil
			case field == "replicas" && replicasOf(is[field]) > max(maxGatewayReplicas, replicasOf(was[field])):
				return path + ".replicas is more than " + strconv.Itoa(maxGatewayReplicas), nil
			}
		}
	}
	return "", nil
}

// gatewayPart is an object in a gateway, nil when there is none.
func gatewayPart(gateway *unstructured.Unstructured, path ...string) (map[string]any, error) {
	if gateway == nil {
		return nil, nil
	}
	value, found, err := unstructured.NestedFieldNoCopy(gateway.Object, path...)
	if err != nil || !found || value == nil {
		return nil, err
	}
	part, ok := value.(map[string]any)
	if !ok {
		return nil, status.BadRequest("%s must be an object", strings.Join(path, "."))
	}
	return part, nil
}

// replicasOf is a number of replicas in decoded JSON: 0 without one, and the highest
// number for values that are no number.
func replicasOf(value any) float64 {
	switch number := value.(type) {
	case nil:
		return 0
	case int64:
		return float64(number)
	case float64:
		return number
	case json.Number:
		if parsed, err := number.Float64(); err == nil {
			return parsed
		}
	}
	return math.MaxFloat64
}
