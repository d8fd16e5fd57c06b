package tenant

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// The gateways of all projects run in one namespace, with the service account of
// the ingress controller: what goes into nginx's configuration or what other
// controllers make of a pod's annotations reaches the Secrets of all projects.

// unsafeGatewaySettings are parts of the keys of ingress-nginx' ConfigMap whose values
// are configuration as a whole, code, files, or objects of any namespace.
var unsafeGatewaySettings = []string{"snippet", "lua", "plugins", "annotation", "modsecurity", "auth-", "-log-path", "set-headers", "add-headers", "ssl-dh-param", "opentelemetry-config", "opentracing", "jaeger", "datadog", "zipkin", "geoip", "maxmind", "load-module", "default-ssl", "upstream-config", "log-format", "debug-connections", "bind-address", "variables-hash", "proxy-real-ip-cidr", "path-type"}

// safePodAnnotations are the annotations of pods that users of projects choose;
// one that ends in a slash stands for all of its domain.
var safePodAnnotations = []string{"sidecar.istio.io/inject", "prometheus.io/", "kubesphere.io/", "servicemesh.kubesphere.io/"}

// gatewaySettingBeyondProject returns the path of a setting of a gateway that
// reaches beyond its project, empty when there is none. What a gateway has already
// may stay; present is nil for a new one.
func gatewaySettingBeyondProject(project string, present, wanted *unstructured.Unstructured) (string, error) {
	offending := ""
	check := func(safe func(key, value string) bool, path ...string) error {
		before, after, err := gatewaySettings(present, wanted, path)
		if err != nil {
			return err
		}
		for key, value := range after {
			if was, had := before[key]; (!had || was != value) && !safe(key, value) && offending == "" {
				offending = strings.Join(path, ".") + "[" + key + "]"
			}
		}
		return nil
	}
	for _, step := range []struct {
		safe func(key, value string) bool
		path []string
	}{
		{safeGatewaySetting, []string{"spec", "controller", "config"}},
		{safePodAnnotation, []string{"spec", "controller", "annotations"}},
		{safePodAnnotation, []string{"spec", "deployment", "annotations"}},
	} {
		if err := check(step.safe, step.path...); err != nil {
			return "", err
		}
	}
	if offending == "" && !ownScope(project, present, wanted) {
		offending = "spec.controller.scope"
	}
	return offending, nil
}

// ownScope reports whether a gateway serves the ingresses of its project alone, where it
// says which ones it serves, or serves those it served before.
func ownScope(project string, present, wanted *unstructured.Unstructured) bool {
	var before any
	if present != nil {
		before, _, _ = unstructured.NestedFieldNoCopy(present.Object, "spec", "controller", "scope")
	}
	after, _, _ := unstructured.NestedFieldNoCopy(wanted.Object, "spec", "controller", "scope")
	if equality.Semantic.DeepEqual(before, after) {
		return true
	}
	scope, _ := after.(map[string]any)
	return scope["enabled"] == true && scope["namespace"] == project
}

// safeGatewaySetting reports whether a setting of ingress-nginx is a plain value: most
// are written into its configuration as they are.
func safeGatewaySetting(key, value string) bool {
	lower := strings.ToLower(key)
	if slices.ContainsFunc(unsafeGatewaySettings, func(part string) bool { return strings.Contains(lower, part) }) {
		return false
	}
	return !strings.ContainsFunc(key+value, func(c rune) bool { return c < ' ' || c > '~' || strings.ContainsRune(";{}\"'`\\#$", c) })
}

func safePodAnnotation(key, _ string) bool {
	return slices.ContainsFunc(safePodAnnotations, func(safe string) bool {
		return key == safe || strings.HasSuffix(safe, "/") && strings.HasPrefix(key, safe)
	})
}

// gatewaySettings are the texts of a map in two states of an object.
func gatewaySettings(present, wanted *unstructured.Unstructured, path []string) (before, after map[string]string, err error) {
	if present != nil {
		before, _, _ = unstructured.NestedStringMap(present.Object, path...)
	}
	after, _, err = unstructured.NestedStringMap(wanted.Object, path...)
	if err != nil {
		return nil, nil, status.BadRequest("%s must be an object of strings", strings.Join(path, "."))
	}
	return before, after, nil
}
