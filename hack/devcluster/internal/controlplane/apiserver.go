package controlplane

import (
	"context"
	"fmt"
	"net"

	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"

	"github.com/super-kubenetes/ks-apiserver/hack/devcluster/internal/pki"
)

// APIServer is the configuration of kube-apiserver.
type APIServer struct {
	// Listener is where it serves. It is made by the caller so that a port
	// that is taken is known before anything starts.
	Listener net.Listener
	// EtcdEndpoint is the URL of etcd.
	EtcdEndpoint string
	// PKI has its certificates.
	PKI *pki.Store
	// ExtraArgs are further flags; they win over the ones set here.
	ExtraArgs []string
}

// Run serves until ctx ends.
func (a *APIServer) Run(ctx context.Context) error {
	args := append([]string{
		// The endpoints of the kubernetes Service may not hold loopback, the
		// only address there is.
		"--endpoint-reconciler-type=none",
		"--etcd-servers=" + a.EtcdEndpoint,
		"--service-cluster-ip-range=10.96.0.0/16",
		// Not Node as well: there are no kubelets to restrict, and it would
		// keep another copy of every pod.
		"--authorization-mode=RBAC",
		"--allow-privileged=true",
		"--profiling=false",
		"--shutdown-delay-duration=0s",
		"--client-ca-file=" + a.PKI.Cert(pki.CA),
		"--tls-cert-file=" + a.PKI.Cert(pki.APIServer),
		"--tls-private-key-file=" + a.PKI.Key(pki.APIServer),
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + a.PKI.PublicKey(pki.ServiceAccount),
		"--service-account-signing-key-file=" + a.PKI.Key(pki.ServiceAccount),
		"--requestheader-client-ca-file=" + a.PKI.Cert(pki.FrontProxyCA),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + a.PKI.Cert(pki.FrontProxyClient),
		"--proxy-client-key-file=" + a.PKI.Key(pki.FrontProxyClient),
		"--kubelet-certificate-authority=" + a.PKI.Cert(pki.CA),
		"--kubelet-client-certificate=" + a.PKI.Cert(pki.KubeletClient),
		"--kubelet-client-key=" + a.PKI.Key(pki.KubeletClient),
		"--kubelet-preferred-address-types=InternalIP",
	}, a.ExtraArgs...)

	opts := options.NewServerRunOptions()
	if err := parse("kube-apiserver", opts.Flags(), args); err != nil {
		return err
	}
	opts.SecureServing.Listener = a.Listener
	if tcp, ok := a.Listener.Addr().(*net.TCPAddr); ok {
		opts.SecureServing.BindAddress = tcp.IP
		opts.SecureServing.BindPort = tcp.Port
	}
	if err := opts.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return fmt.Errorf("set feature gates: %w", err)
	}
	completed, err := opts.Complete(ctx)
	if err != nil {
		return fmt.Errorf("complete the options: %w", err)
	}
	if errs := completed.Validate(); len(errs) > 0 {
		return fmt.Errorf("invalid options: %w", utilerrors.NewAggregate(errs))
	}
	return app.Run(ctx, completed)
}
