package app

import (
	"context"
	"net/http"
	"strings"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	authorizationv1client "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/super-kubenetes/ks-apiserver/pkg/controllers"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/secondlock"
)

// secondLock says whom requests to Kubernetes are made as.
func (a *app) secondLock() (*secondlock.Lock, error) {
	reviewer, err := authorizationv1client.NewForConfig(kube.Acting(a.rest, func(r *http.Request, _ user.Info) (kube.Identity, error) {
		identity, _ := kube.IdentityFrom(r.Context())
		return identity, nil
	}))
	if err != nil {
		return nil, err
	}
	target, _, err := rest.DefaultServerUrlFor(a.rest)
	if err != nil {
		return nil, err
	}
	workspaces := a.catalog.Type("workspaces")
	return secondlock.New(secondlock.Options{
		Rights: a.rights, Now: time.Now, Starting: a.starting, Prefix: strings.TrimSuffix(target.Path, "/"),
		UID: func(ctx context.Context, workspace string) string {
			view, err := a.cache.View(ctx, workspaces)
			if err != nil {
				return ""
			}
			if item := view.Get("", workspace); item != nil {
				return item.UID()
			}
			return ""
		},
		Review: func(ctx context.Context, action authorizationv1.ResourceAttributes) (bool, error) {
			review, err := reviewer.SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
				Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &action},
			}, metav1.CreateOptions{})
			if err != nil {
				return false, err
			}
			return review.Status.Allowed, nil
		},
	}), nil
}

// startingTimeout is how long kube-apiserver may take to say whether it is ready.
const startingTimeout = 2 * time.Second

// starting reports whether kube-apiserver is not ready.
func (a *app) starting(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, startingTimeout)
	defer cancel()
	return a.monitor.Discovery.RESTClient().Get().AbsPath("/readyz").Do(ctx).Error() != nil
}

// identify says whom requests to Kubernetes are made as that handlers and reconcilers make.
func (a *app) identify(r *http.Request, who user.Info) (kube.Identity, error) {
	return a.lock.Handled(r, who)
}

// patient returns a configuration whose requests are tried again while Kubernetes may not
// know yet of the rights of who makes them.
func (a *app) patient(config *rest.Config) *rest.Config {
	config = rest.CopyConfig(config)
	config.Wrap(a.lock.Handling)
	return config
}

// mirror writes what is missing of that before this replica serves.
func (a *app) mirror(ctx context.Context) { a.mirrored.Run(ctx) }

// mirrors writes what Kubernetes decides by: tens of thousands of objects at the first start
// in a large cluster, a few at once, as fast as kube-apiserver lets it.
func (a *app) mirrors(c client.Client) *controllers.Mirrors {
	return &controllers.Mirrors{
		Client: c, Rights: a.directory.Rights, Discovery: a.monitor.Discovery, Names: a.names, Now: time.Now,
		Workspaces: func(ctx context.Context) (controllers.Workspaces, error) {
			view, err := a.cache.View(ctx, a.catalog.Type("workspaces"))
			if err != nil {
				return controllers.Workspaces{}, err
			}
			return controllers.Workspaces{Revision: view.Revision(), UIDs: func() map[string]string {
				uids := make(map[string]string, view.Len())
				view.All(func(item *objects.Item) bool {
					uids[item.Name()] = item.UID()
					return true
				})
				return uids
			}}, nil
		},
		Definitions: func(ctx context.Context) uint64 {
			view, err := a.cache.View(ctx, a.catalog.Type("customresourcedefinitions"))
			if err != nil {
				return 0
			}
			return view.Revision()
		},
	}
}
