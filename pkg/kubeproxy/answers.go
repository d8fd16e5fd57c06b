package kubeproxy

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tidwall/gjson"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authentication/user"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/secondlock"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// maxRefusal bounds what is read of an answer that is an error, in bytes.
const maxRefusal = 64 << 10

// look sees to answers of Kubernetes that are not the caller's: refusals of this
// server, and redirections. All others pass as they are.
func (p *Proxy) look(answer *http.Response) error {
	switch code := answer.StatusCode; {
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return p.refusal(answer)
	case code >= http.StatusMultipleChoices && code < http.StatusBadRequest && answer.Header.Get("Location") != "":
		return p.redirection(answer)
	}
	return nil
}

// lookUpgraded sees to the answer to a request for another protocol. When it is
// not changed, nothing more comes over the client's connection either.
func (p *Proxy) lookUpgraded(answer *http.Response) error {
	if answer.StatusCode == http.StatusSwitchingProtocols {
		return nil
	}
	answer.Header.Set("Connection", "close")
	return p.look(answer)
}

// refusal replaces a 401 or 403 by 503 when it is this server that Kubernetes
// refuses: a client that believed it would log in again, or ask for rights it has.
func (p *Proxy) refusal(answer *http.Response) error {
	since := time.Now()
	ctx := answer.Request.Context()
	info := request.InfoFrom(ctx)
	below := info != nil && info.Below
	who, found := kuberequest.UserFrom(ctx)
	if !found {
		who = &user.DefaultInfo{}
	}
	asked := who
	if identity, _ := kube.IdentityFrom(ctx); identity.Own {
		asked = nil
	}
	refusal, err := secondlock.ReadRefusal(answer, asked)
	if err != nil {
		return err
	}
	switch {
	case below && !gjson.GetBytes(refusal.Text, "reason").Exists():
		return nil // of the one behind the proxied path
	case answer.StatusCode == http.StatusUnauthorized:
	case refusal.OfServer:
		// Nobody becomes a member of system:masters by constrained impersonation, and
		// what is behind may be another Kubernetes.
		if (isAnother(who) || below) && p.standing.confirm(ctx, since) == nil {
			return nil
		}
	case !refusal.ByRoles:
		return nil // of admission, which may forbid things
	default:
		// What was authorised here may be forbidden there by a further authorizer. One
		// that is starting forbids everything, and a moment later nothing any more: it
		// is asked about this very request.
		if p.standing.confirm(ctx, since) == nil && !p.allows(ctx, info, refusal.Verb) {
			p.disagree(ctx, info, refusal.Text)
			return nil
		}
	}
	_ = answer.Body.Close()
	// So that /readyz and the log say so, once.
	err = p.standing.confirm(ctx, since)
	slog.DebugContext(ctx, "Kubernetes refused this server", "code", answer.StatusCode, "message", string(refusal.Text), "standing", err)
	return status.Unavailable(5, "Kubernetes does not let this server in at the moment, see its log")
}

// isAnother reports whether a request is made as whom its sender has asked for.
func isAnother(who user.Info) bool {
	_, asked := who.(*kube.Another)
	return asked
}

// redirection passes a redirection to the same place on, as a path, since the
// client does not know Kubernetes by the address it has of itself. It is never
// followed here, and one to another host is not passed on: who is asked with a
// right to a pod's port must not send the client elsewhere (CVE-2018-1002102,
// CVE-2022-3172).
func (p *Proxy) redirection(answer *http.Response) error {
	location, err := url.Parse(answer.Header.Get("Location"))
	if err == nil && location.Host == p.target.Host {
		location.Scheme, location.Host, location.User = "", "", nil
		if rest, found := strings.CutPrefix(location.EscapedPath(), strings.TrimSuffix(p.target.EscapedPath(), "/")+"/"); found {
			location, err = url.Parse("/" + rest + query(location))
		}
	}
	if err != nil || location.Scheme != "" || location.Host != "" || location.Opaque != "" || strings.HasPrefix(location.Path, "//") {
		_ = answer.Body.Close()
		slog.WarnContext(answer.Request.Context(), "Kubernetes redirects elsewhere", "location", answer.Header.Get("Location"))
		return status.New(http.StatusBadGateway, "", "Kubernetes redirects to another host, which is not passed on")
	}
	answer.Header.Set("Location", location.String())
	return nil
}

func query(u *url.URL) string {
	if u.RawQuery == "" {
		return ""
	}
	return "?" + u.RawQuery
}

// fail answers a request Kubernetes did not answer, or whose answer is not
// passed on.
func fail(w http.ResponseWriter, r *http.Request, err error) {
	var carried apierrors.APIStatus
	switch {
	case errors.As(err, &carried):
	case errors.Is(err, context.Canceled):
		// The client went away: net/http closes the connection.
		panic(http.ErrAbortHandler)
	case errors.Is(err, context.DeadlineExceeded):
		slog.WarnContext(r.Context(), "Kubernetes does not answer in time", "path", r.URL.Path)
	default:
		slog.WarnContext(r.Context(), "Kubernetes does not answer", "path", r.URL.Path, "error", err)
		err = status.Unavailable(5, "Kubernetes does not answer at the moment")
	}
	status.Write(w, r, err)
}
