package kubeproxy

import (
	"context"
	"errors"
	"net/http"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// errNoList is an answer of Kubernetes to a list that is none.
var errNoList = errors.New("the answer of Kubernetes is not a list")

// listsNamespaces reports whether a request lists or watches namespaces, all of them or
// one by its name, which everybody may do and sees the own ones.
func listsNamespaces(info *request.Info) bool {
	return (info.Verb == "list" || info.Verb == "watch") && info.APIGroup == "" && info.Resource == "namespaces" &&
		info.Namespace == namespacePath(info) && info.Subresource == ""
}

// namespacePath is the namespace a list of namespaces has in its path: none, or its own
// in the legacy watch/namespaces/{name}.
func namespacePath(info *request.Info) string {
	if info.Namespace == "" {
		return ""
	}
	return info.Name
}

// seesAll says why a watch of all namespaces may not continue: the caller does not see
// all of them any more, and nothing filters the watch of who does.
func (p *Proxy) seesAll(ctx context.Context, who user.Info, info *request.Info) error {
	visible, err := p.rights.VisibleNamespaces(ctx, who, namespacesSeen(info))
	if err == nil && !visible.All {
		err = status.New(http.StatusForbidden, metav1.StatusReasonForbidden, "the right to see all namespaces was taken away")
	}
	return err
}

func namespacesSeen(info *request.Info) authz.Action {
	return authz.Action{Verb: info.Verb, Resource: "namespaces", Name: info.Name}
}

// errOtherPages refuses a page that follows one of another list: lists of a part of the
// namespaces have none. Clients start anew.
func errOtherPages() error {
	return status.New(http.StatusGone, metav1.StatusReasonExpired, "a list of the namespaces one sees has no further pages, list them without continue")
}

// listNamespaces answers with the namespaces of a list or watch the caller sees: a list
// with all of them, whatever its limit.
func (p *Proxy) listNamespaces(w http.ResponseWriter, r *http.Request, seen authz.Visible) {
	info := request.InfoFrom(r.Context())
	// What is filtered has to be readable, and its rows to have names.
	r = r.Clone(r.Context())
	r.Header.Set("Accept", strings.Join(append(acceptedJSON(r.Header), "application/json"), ","))
	r.Header.Del("Accept-Encoding")
	values := r.URL.Query()
	values.Del("includeObject")
	if info.Verb == "list" {
		if values.Get("continue") != "" {
			status.Write(w, r, errOtherPages())
			return
		}
		// Where the next page begins is the name of a namespace, which may be hidden.
		values.Del("continue")
		values.Del("limit")
	}
	r.URL.RawQuery = values.Encode()
	if asksForSocket(r, info) {
		p.watchBySocket(w, r, p.filter)
		return
	}
	r.Header.Del("Upgrade")
	if !p.listByName(w, r, seen) {
		settling, found := p.takeRead(w, r, info)
		if !found {
			return
		}
		defer settling.end()
		paced, r, stop := p.paced(w, r)
		defer stop()
		paced.settling = settling
		p.namespaces.ServeHTTP(paced, r)
	}
}

// filter leaves of a list or watch of namespaces what the caller sees. It runs
// after kube-apiserver has answered.
func (p *Proxy) filter(answer *http.Response) error {
	switch {
	case answer.StatusCode == http.StatusSwitchingProtocols:
		return errors.New("the connection changes protocols unasked")
	case answer.StatusCode != http.StatusOK:
		return p.look(answer)
	case answer.Request.Method == http.MethodHead:
		answer.Header.Del("Content-Length") // it is that of all namespaces
		return nil
	}
	ctx := answer.Request.Context()
	who, _ := kuberequest.UserFrom(ctx)
	info := request.InfoFrom(ctx)
	visible := func() (authz.Visible, error) { return p.rights.VisibleNamespaces(ctx, who, namespacesSeen(info)) }
	if info.Verb == "watch" {
		var err error
		answer.Body, err = p.filteredWatch(answer, visible)
		return err
	}
	body := answer.Body
	defer func() { _ = body.Close() }()
	seen, err := visible()
	if err != nil {
		return err
	}
	return p.filterList(answer, seen)
}
