package gateways

import (
	"context"
	"net/http"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apiserver/pkg/authentication/user"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	tenantv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// Rights says what a caller holds. *authz.RBAC does.
type Rights interface {
	Covers(ctx context.Context, who user.Info, scope authz.Scope, rules []rbacv1.PolicyRule) ([]rbacv1.PolicyRule, error)
}

// The gateways of all projects run in one namespace, with the service account of
// the ingress controller: what goes into nginx's configuration or what other
// controllers make of a pod's annotations reaches the Secrets of all projects.

// unsafeSettings are parts of the keys of ingress-nginx' ConfigMap whose values
// are configuration as a whole, code, files, or objects of any namespace.
var unsafeSettings = []string{"snippet", "lua", "plugins", "annotation", "modsecurity", "auth-", "-log-path", "set-headers", "add-headers", "ssl-dh-param", "opentelemetry-config", "opentracing", "jaeger", "datadog", "zipkin", "geoip", "maxmind", "load-module", "default-ssl", "upstream-config", "log-format", "debug-connections", "bind-address", "variables-hash", "proxy-real-ip-cidr"}

// safePodAnnotations are the annotations of pods that users of projects choose;
// one that ends in a slash stands for all of its domain.
var safePodAnnotations = []string{"sidecar.istio.io/inject", "prometheus.io/", "kubesphere.io/", "servicemesh.kubesphere.io/"}

// checkSettings refuses settings of a gateway that reach beyond its project,
// unless the caller may do everything in the cluster. What a gateway has already
// may stay.
func (h *Handler) checkSettings(ctx context.Context, present, wanted *unstructured.Unstructured) error {
	offending := ""
	check := func(safe func(key, value string) bool, path ...string) error {
		before, after, err := settingsOf(present, wanted, path)
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
		{safeSetting, []string{"spec", "controller", "config"}},
		{safePodAnnotation, []string{"spec", "controller", "annotations"}},
		{safePodAnnotation, []string{"spec", "deployment", "annotations"}},
	} {
		if err := check(step.safe, step.path...); err != nil {
			return err
		}
	}
	if offending == "" {
		return nil
	}
	who, found := kuberequest.UserFrom(ctx)
	if !found {
		who = &user.DefaultInfo{Name: user.Anonymous}
	}
	missing, err := h.Rights.Covers(ctx, who, authz.Scope{Cluster: authz.ThisCluster}, authz.Everything())
	if err != nil || len(missing) == 0 {
		return err
	}
	return status.Forbidden(kind.GroupVersion().WithResource("gateways").GroupResource(), wanted.GetName(), "%s reaches beyond the project, which takes all rights in the cluster", offending)
}

// safeSetting reports whether a setting of ingress-nginx is a plain value: most
// are written into its configuration as they are.
func safeSetting(key, value string) bool {
	lower := strings.ToLower(key)
	if slices.ContainsFunc(unsafeSettings, func(part string) bool { return strings.Contains(lower, part) }) {
		return false
	}
	return !strings.ContainsFunc(key+value, func(c rune) bool { return c < ' ' || c > '~' || strings.ContainsRune(";{}\"'`\\#$", c) })
}

func safePodAnnotation(key, _ string) bool {
	return slices.ContainsFunc(safePodAnnotations, func(safe string) bool {
		return key == safe || strings.HasSuffix(safe, "/") && strings.HasPrefix(key, safe)
	})
}

// settingsOf are the texts of a map in two states of an object.
func settingsOf(present, wanted *unstructured.Unstructured, path []string) (before, after map[string]string, err error) {
	if present != nil {
		before, _, _ = unstructured.NestedStringMap(present.Object, path...)
	}
	after, _, err = unstructured.NestedStringMap(wanted.Object, path...)
	if err != nil {
		return nil, nil, status.BadRequest("%s must be an object of strings", strings.Join(path, "."))
	}
	return before, after, nil
}

// ownNamespace refuses to keep gateways in a namespace that is a project: its
// members would rule over the gateways of all others.
func (h *Handler) ownNamespace(ctx context.Context) error {
	namespace := &corev1.Namespace{}
	if err := h.Client.Get(ctx, client.ObjectKey{Name: h.Namespace}, namespace); err != nil {
		return client.IgnoreNotFound(err)
	}
	if workspace := namespace.Labels[iamv1alpha2.LabelWorkspace]; workspace != "" && workspace != tenantv1alpha2.SystemWorkspace {
		return status.New(http.StatusConflict, metav1.StatusReasonConflict, "namespace %s, where gateways are, belongs to workspace %s", h.Namespace, workspace)
	}
	return nil
}
