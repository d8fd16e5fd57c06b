package extensions

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"
)

// NamesService reports whether an object of extensions.kubesphere.io names a Service or,
// without a name, one of a namespace.
func (r *Registry) NamesService(namespace, name string) bool {
	t := r.table.Load()
	if t == nil {
		return false
	}
	for _, b := range t.backends {
		if service := b.endpoint.Service; service != nil && service.Namespace == namespace && (name == "" || service.Name == name) {
			return true
		}
	}
	return false
}

// DialService implements Dialer: a Service is found as Kubernetes has it, so
// that nothing depends on who resolves names for this process.
func (r *Registry) DialService(ctx context.Context, namespace, name string, port int32) (net.Conn, error) {
	view, err := r.cache.View(ctx, r.services)
	if err != nil {
		return nil, err
	}
	service := view.Get(namespace, name)
	if service == nil {
		return nil, fmt.Errorf("there is no Service %s/%s", namespace, name)
	}
	address, err := serviceAddress(namespace, name, service.Field("spec.type").String(), service.Field("spec.clusterIP").String(), port)
	if err != nil {
		return nil, err
	}
	return (&net.Dialer{KeepAlive: 30 * time.Second}).DialContext(ctx, "tcp", address)
}

// serviceAddress is the address of a port of a Service in the cluster: of its cluster IP
// or, for a headless Service, the name of its endpoints. A Service of another host is refused: requests carry the
// identity of their callers, which is for services of the cluster.
func serviceAddress(namespace, name, serviceType, clusterIP string, port int32) (string, error) {
	if serviceType == "ExternalName" {
		return "", fmt.Errorf("the Service %s/%s is the name of another host, to which no requests are forwarded", namespace, name)
	}
	if clusterIP == "" || clusterIP == "None" {
		clusterIP = name + "." + namespace + ".svc"
	}
	return net.JoinHostPort(clusterIP, strconv.Itoa(int(port))), nil
}
