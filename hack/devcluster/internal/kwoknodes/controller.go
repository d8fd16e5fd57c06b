package kwoknodes

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/clock"
	"sigs.k8s.io/kwok/pkg/kwok/controllers"
	"sigs.k8s.io/kwok/pkg/log"
	kwokclient "sigs.k8s.io/kwok/pkg/utils/client"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

const (
	// annotation marks the nodes whose kubelet KWOK plays.
	annotation      = "kwok.x-k8s.io/node"
	annotationValue = "fake"
)

// Options configure KWOK.
type Options struct {
	// Kubeconfig is the file it reaches kube-apiserver with.
	Kubeconfig string
	// KubeletPort is where the fake kubelet of every node listens on loopback.
	KubeletPort int
	// Log receives its log.
	Log io.Writer
}

// Start plays the kubelets of annotated nodes until ctx ends.
func Start(ctx context.Context, opts Options) error {
	controller, err := newController(opts)
	if err != nil {
		return fmt.Errorf("set up KWOK: %w", err)
	}
	ctx = log.NewContext(ctx, log.NewLogger(opts.Log, slog.LevelWarn))
	if err := controller.Start(ctx); err != nil {
		return fmt.Errorf("start KWOK: %w", err)
	}
	return nil
}

func newController(opts Options) (*controllers.Controller, error) {
	clients, err := kwokclient.NewClientset("", opts.Kubeconfig)
	if err != nil {
		return nil, err
	}
	restConfig, err := clients.ToRESTConfig()
	if err != nil {
		return nil, err
	}
	dynamicClient, err := clients.ToDynamicClient()
	if err != nil {
		return nil, err
	}
	mapper, err := clients.ToRESTMapper()
	if err != nil {
		return nil, err
	}
	restClient, err := rest.RESTClientFor(restConfig)
	if err != nil {
		return nil, err
	}
	typedConfig := rest.CopyConfig(restConfig)
	typedConfig.ContentType = runtime.ContentTypeProtobuf
	typedConfig.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	typedConfig.Wrap(withoutStaticPods)
	typed, err := kubernetes.NewForConfig(typedConfig)
	if err != nil {
		return nil, err
	}
	stages, err := stages()
	if err != nil {
		return nil, err
	}
	identity, err := controllers.Identity()
	if err != nil {
		return nil, err
	}
	return controllers.NewController(controllers.Config{
		Clock:                             clock.RealClock{},
		DynamicClient:                     dynamicClient,
		RESTClient:                        restClient,
		RESTMapper:                        mapper,
		TypedClient:                       typed,
		ImpersonatingDynamicClient:        clients.ToImpersonatingDynamicClient(),
		ImpersonatingTypedClient:          clients.ToImpersonatingTypedClient(),
		ManageNodesWithAnnotationSelector: annotation + "=" + annotationValue,
		CIDR:                              "10.0.0.1/16",
		NodeIP:                            kubeletIP,
		NodePort:                          opts.KubeletPort,
		LocalStages:                       stages,
		FuncMap:                           stageFunctions(),
		PodPlayStageParallelism:           8,
		NodePlayStageParallelism:          4,
		NodeLeaseParallelism:              4,
		NodeLeaseDurationSeconds:          200,
		PodsOnNodeSyncParallelism:         4,
		ID:                                identity,
	})
}
