package kube

import (
	"errors"
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kubescheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	clusterv1alpha1 "github.com/super-kubenetes/ks-apiserver/api/cluster/v1alpha1"
	extensionsv1alpha1 "github.com/super-kubenetes/ks-apiserver/api/extensions/v1alpha1"
	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	networkv1alpha1 "github.com/super-kubenetes/ks-apiserver/api/network/v1alpha1"
	quotav1alpha2 "github.com/super-kubenetes/ks-apiserver/api/quota/v1alpha2"
	tenantv1alpha1 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha1"
	tenantv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
)

// Namespace is where ks-apiserver runs and keeps its own objects.
const Namespace = reserved.SystemNamespace

// ControlsNamespace is where KubeSphere 3.x keeps kubeconfigs of users and the
// pods they run kubectl in, and where gateways are.
const ControlsNamespace = reserved.ControlsNamespace

// FieldManager is the name kube-apiserver records for what this server writes.
const FieldManager = reserved.ManagedByServer

// RESTConfig says how to reach kube-apiserver: by a kubeconfig, by the address
// of a server, by $KUBECONFIG or ~/.kube/config, or, in a pod, by its service
// account.
func RESTConfig(options config.Kubernetes) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = options.KubeConfig
	overrides := &clientcmd.ConfigOverrides{}
	overrides.ClusterInfo.Server = options.Master
	result, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides).ClientConfig()
	if clientcmd.IsEmptyConfig(err) || errors.Is(err, rest.ErrNotInCluster) {
		return nil, errors.New("no way to reach Kubernetes is configured: use --kubeconfig, or run in a pod")
	}
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	result.QPS, result.Burst = 200, 400
	if options.QPS != 0 {
		result.QPS = options.QPS
	}
	if options.Burst != 0 {
		result.Burst = options.Burst
	}
	result.UserAgent = FieldManager
	return result, nil
}

// Scheme knows the types of Kubernetes and ours.
func Scheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		kubescheme.AddToScheme, apiextensionsv1.AddToScheme,
		iamv1alpha2.AddToScheme, tenantv1alpha1.AddToScheme, tenantv1alpha2.AddToScheme, quotav1alpha2.AddToScheme, clusterv1alpha1.AddToScheme, extensionsv1alpha1.AddToScheme, networkv1alpha1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	return scheme, nil
}

// NewClient returns a client that reads and writes objects directly, without a
// cache. It does not need Kubernetes to answer yet.
func NewClient(restConfig *rest.Config) (client.WithWatch, error) {
	scheme, err := Scheme()
	if err != nil {
		return nil, err
	}
	return client.NewWithWatch(restConfig, client.Options{Scheme: scheme})
}
