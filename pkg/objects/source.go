package objects

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
)

// listWatch reads a type from kube-apiserver and notes whether that works.
type listWatch struct {
	ctx      context.Context // for the two methods cache.ListerWatcher has without one
	client   rest.Interface
	resource string
	note     func(error)
}

func (l *listWatch) List(options metav1.ListOptions) (runtime.Object, error) {
	return l.ListWithContext(l.ctx, options)
}

func (l *listWatch) Watch(options metav1.ListOptions) (watch.Interface, error) {
	return l.WatchWithContext(l.ctx, options)
}

func (l *listWatch) ListWithContext(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	result := &objectList{}
	err := l.client.Get().Resource(l.resource).VersionedParams(&options, metav1.ParameterCodec).Do(ctx).Into(result)
	l.note(err)
	if err != nil {
		return nil, err
	}
	return result, nil
}

func (l *listWatch) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	options.Watch = true
	result, err := l.client.Get().Resource(l.resource).VersionedParams(&options, metav1.ParameterCodec).Watch(ctx)
	l.note(err)
	return result, err
}

// newClient returns a REST client that decodes answers into items of a type.
func newClient(config *rest.Config, kind *Type) (rest.Interface, error) {
	config = rest.CopyConfig(config)
	// Reflectors back off by themselves; a shared limit would let one busy
	// type starve the others.
	config.QPS = -1
	// kube-apiserver is near, and gzip would cost both of us more than the network.
	config.DisableCompression = true
	httpClient, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, err
	}
	prefix := "/apis/" + kind.Group + "/" + kind.Version
	if kind.Group == "" {
		prefix = "/api/" + kind.Version
	}
	return rest.NewRESTClient(base, prefix, rest.ClientContentConfig{
		AcceptContentTypes: "application/json",
		ContentType:        "application/json",
		GroupVersion:       kind.GroupVersion(),
		Negotiator:         codec{kind: kind},
	}, nil, httpClient)
}
