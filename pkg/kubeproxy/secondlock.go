package kubeproxy

import (
	"context"
	"net/http"

	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
)

// identify returns a request with whom Kubernetes is told that it is made as.
func (p *Proxy) identify(r *http.Request, info *request.Info, who user.Info) (*http.Request, error) {
	if p.options.SecondLock == nil {
		return r, nil
	}
	identity, err := p.options.SecondLock.Forwarded(r.Context(), info, who)
	if err != nil {
		return nil, err
	}
	return r.WithContext(kube.WithIdentity(r.Context(), identity)), nil
}

// asServer returns a context whose requests are made by the account of this server.
func asServer(ctx context.Context) context.Context {
	return kube.WithIdentity(ctx, kube.Identity{Own: true})
}

// disagree notes that Kubernetes refuses what was permitted here.
func (p *Proxy) disagree(ctx context.Context, info *request.Info, answer []byte) {
	if p.options.SecondLock == nil {
		return
	}
	path := ""
	if info != nil {
		path = info.Path
	}
	p.options.SecondLock.Disagree(ctx, path, answer)
}
