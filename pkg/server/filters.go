package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/super-kubenetes/ks-apiserver/pkg/accesstoken"
	"github.com/super-kubenetes/ks-apiserver/pkg/authn"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/router"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/token"
	"github.com/super-kubenetes/ks-apiserver/pkg/turns"
)

// headerRequestID names a request in logs and answers; kube-apiserver's name.
const headerRequestID = "Audit-Id"

// ownCredentials reports whether an operation looks at the Authorization header
// itself, or must not: at the token service it is that of a client, and who
// logs in often sends the one of a session that is over.
func ownCredentials(path string) bool {
	switch path {
	case "/oauth/logout", "/oauth/userinfo":
		return false
	case "/kapis/iam.kubesphere.io/v1alpha2/login":
		return true
	}
	return strings.HasPrefix(path, "/oauth/") || strings.HasPrefix(path, "/.well-known/")
}

// slow is when a request is logged whatever its outcome.
const slow = time.Second

// filters is the chain in front of the routes.
type filters struct {
	proxies       proxies
	container     *route.Container
	kubernetes    http.Handler // nil for none
	authenticator authenticator.Request
	authorizer    authorizer.UnconditionalAuthorizer
	metrics       *metrics
	admission     *admission
	// namespaceOf finds the namespace of a DevOps project, "" for none.
	namespaceOf func(ctx context.Context, project string) (string, error)
	// ownerOf finds whose the service accounts of a namespace are, see Options.
	ownerOf func(ctx context.Context, namespace string) (creator, home string)
	// stillAllowed decides again, see Options.
	stillAllowed func(*http.Request) error
	elsewhere    Elsewhere // nil for none
	// readsBody reports whether a request to Kubernetes is read whole; nil for none.
	readsBody   func(*http.Request, *request.Info) bool
	crossOrigin crossOrigin
	refusals    *refusalLog
	// watches ends when the server stops, and all watches with it.
	watches context.Context //nolint:containedctx // of the server, not of a request
}

// ServeHTTP implements http.Handler.
func (f *filters) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	started := time.Now()
	r.RemoteAddr = f.proxies.client(r)
	body := followBody(r, f.admission.drains)
	id := requestID(r)
	call := &call{id: id, body: body, request: r}
	answer := &call.recorder
	*answer = recorder{ResponseWriter: w, call: call, unread: f.admission.unread}
	w.Header().Set(headerRequestID, id)
	defer func() { //nolint:contextcheck // it is the request's
		panicked := recover()
		aborted := panicked == http.ErrAbortHandler //nolint:errorlint // the sentinel of net/http, by identity
		if panicked != nil && !aborted {
			slog.ErrorContext(r.Context(), "panic", "id", id, "method", r.Method, "path", r.URL.Path, "panic", panicked, "stack", string(debug.Stack()))
			if answer.code == 0 {
				status.Write(answer, r, errors.New("panic"))
			} else {
				aborted = true // half an answer must not look like a whole one
			}
		}
		body.leave(w, r, answer.code)
		if !f.admission.unread.end(w, r, call) && !aborted {
			f.metrics.reject(reasonUnread)
			aborted = true
		}
		f.finish(r, call, answer, id, time.Since(started))
		if aborted {
			panic(http.ErrAbortHandler)
		}
	}()
	if f.crossOrigin.handle(answer, r) {
		return
	}
	f.limit(answer, r, call)
}

// limit sets how long a request may take, and finds out who serves it. Who asks
// and whether there is room for it follow.
func (f *filters) limit(w http.ResponseWriter, r *http.Request, c *call) {
	ctx := r.Context()
	c.deadlines = newDeadlines(w, r)
	now := time.Now()
	info, err := f.parse(r)
	if err != nil {
		c.deadlines.set(now.Add(requestTimeout))
		status.Write(w, r, err)
		return
	}
	original := r
	r = info.WithoutTrailingSlash(r)
	c.match = f.container.Router.Find(r.Method, r.URL)
	c.next = f.container
	switch {
	case info.Kubernetes && f.kubernetes != nil && (info.Below || c.match == nil):
		c.next = delegate{f.kubernetes}
	case !info.Kubernetes:
		if other := f.other(r, c.match); other != nil {
			c.next, c.delegated, r = other, true, original // what the slash means, who serves the path says
		}
	}
	c.long, c.file = f.long(r, info, c)
	switch {
	case c.long:
		c.deadlines.clear()
	case c.delegated:
		c.deadlines.set(now.Add(delegatedTimeout))
	default:
		c.deadlines.set(now.Add(requestTimeout))
	}
	if c.long && !info.Kubernetes && !c.file || info.Verb == "watch" && c.long {
		limited, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(f.watches, cancel)() //nolint:contextcheck // it ends with the server or the request, whichever is first
		ctx = limited
	}
	if !c.long && !exempt(info.Path) {
		// A Kubernetes that hangs must not make us hang.
		timeout := requestTimeout
		if c.delegated { // elsewhere there are shorter times of their own
			timeout = delegatedTimeout
		}
		limited, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		ctx = limited
	}
	origin := request.Origin{ID: c.id, Address: request.ClientAddress(r), Authorization: request.ParseAuthorization(r.Header)}
	f.identify(w, r.WithContext(router.WithMatch(request.NewContext(ctx, origin, info), c.match)), info, c)
}

// exempt are the probes, which have to answer when the server is busy.
func exempt(path string) bool {
	return path == "/livez" || path == "/readyz" || path == "/healthz"
}

// identify finds out who asks.
func (f *filters) identify(w http.ResponseWriter, r *http.Request, info *request.Info, c *call) {
	if ownCredentials(info.Path) {
		c.caller = f.callerOf(r, nil)
		f.authorize(w, r.WithContext(turns.WithHolder(r.Context(), c.caller.holder())), info, c, nil)
		return
	}
	if len(r.Header.Values("Authorization")) > 1 {
		status.Write(w, r, status.BadRequest("there is more than one Authorization header"))
		return
	}
	ctx := r.Context()
	answer, found, err := f.authenticator.AuthenticateRequest(r)
	if err != nil || !found {
		f.metrics.refused.Inc()
		c.refusal = err
		refuse(w, r, err)
		return
	}
	c.user = answer.User.GetName()
	c.caller = f.callerOf(r, answer.User) // whomever the request asks to act as
	if c.caller.authenticated {
		usedBy(r)
	}
	who, err := f.wanted(ctx, r, info, answer.User)
	if err != nil {
		status.Write(w, r, err)
		return
	}
	if who != answer.User {
		c.user += " as " + who.GetName()
	}
	f.authorize(w, r.WithContext(turns.WithHolder(kuberequest.WithUser(ctx, who), c.caller.holder())), info, c, who)
}

// wanted is whom a request shall be made as: who sends it, or whom that one asks
// to act as and may. To act as somebody else than was asked for would be worse
// than to refuse, so what is not Kubernetes' refuses.
func (f *filters) wanted(ctx context.Context, r *http.Request, info *request.Info, who user.Info) (user.Info, error) {
	asked, err := authz.Asked(r.Header)
	switch {
	case err != nil:
		return nil, err
	case asked == nil:
		return who, nil
	case !info.Kubernetes && info.Path != "/version" && !strings.HasPrefix(info.Path, "/openapi/"):
		return nil, status.BadRequest("acting as somebody else is for the APIs of Kubernetes, at /api and /apis")
	}
	return asked.By(ctx, f.authorizer, who)
}

// refuse answers a request whose credentials were not accepted.
func refuse(w http.ResponseWriter, r *http.Request, err error) {
	var carried apierrors.APIStatus
	var throttled *identity.Throttled
	code, description := "invalid_token", ""
	switch {
	case errors.As(err, &carried) && (carried.Status().Code >= http.StatusInternalServerError || carried.Status().Code == http.StatusTooManyRequests):
		status.Write(w, r, err)
		return
	case errors.Is(err, token.ErrNotReady):
		status.Write(w, r, status.Unavailable(1, "the server is starting"))
		return
	case errors.Is(err, identity.ErrBusy):
		status.Write(w, r, tooMany(retrySoon))
		return
	case errors.As(err, &throttled):
		status.Write(w, r, status.TooManyRequests(throttled.After, "%s", throttled))
		return
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		status.Write(w, r, err)
		return
	// The wording of the next two is known to clients of KubeSphere, which
	// look for it to tell a login that is over from one that never was.
	case errors.Is(err, token.ErrExpired):
		description = "token is expired by the clock of the server"
	case errors.Is(err, token.ErrInvalid):
		description = "token signature is invalid"
	case errors.Is(err, accesstoken.ErrInvalid):
		description = "the access token is invalid, expired or revoked"
	case errors.Is(err, authn.ErrSessionEnded):
		description = "the session has ended"
	case errors.Is(err, authn.ErrNotActive):
		description = "the user is not active"
	case errors.Is(err, identity.ErrIncorrect):
		description = "incorrect user name or password"
	case errors.Is(err, authn.ErrUnsupported):
		code, description = "invalid_request", "the Authorization header must be Bearer or Basic"
	default:
		description = "the credentials are not valid"
	}
	w.Header().Set("WWW-Authenticate", `Bearer error="`+code+`", error_description="`+description+`"`)
	status.Write(w, r, status.Unauthorized("Unauthorized: %s", description))
}

// authorize asks whether the caller may do this, and serves it if so.
func (f *filters) authorize(w http.ResponseWriter, r *http.Request, info *request.Info, c *call, who user.Info) {
	if info.DevOps != "" {
		// Found once: what is authorised is what is served.
		namespace, err := f.namespaceOf(r.Context(), info.DevOps)
		if err != nil {
			status.Write(w, r, err)
			return
		}
		if namespace != "" {
			info.InNamespace(namespace)
		}
	}
	attributes, decision, reason, err := authz.AuthorizeRequest(r.Context(), f.authorizer, info, who)
	switch {
	case err != nil:
		status.Write(w, r, err)
	case decision != authorizer.DecisionAllow && authz.IsAnonymous(attributes.User):
		status.Write(w, r, status.Unauthorized("Unauthorized: this needs credentials, see the WWW-Authenticate header"))
	case decision != authorizer.DecisionAllow:
		status.Write(w, r, authz.Forbidden(attributes, reason))
	default:
		began := time.Now()
		release, err := f.admit(w, r, info, c)
		if err != nil {
			writeRefusal(w, r, err)
			return
		}
		if time.Since(began) > decidedFor && !f.confirm(w, r, c) {
			release()
			return
		}
		c.placed, c.probe = true, exempt(info.Path)
		if !c.caller.authenticated && !c.long && !c.delegated && !info.Kubernetes && !c.probe {
			// A visitor who does not read an answer keeps no place from others: what this
			// server has for visitors is made when it begins to be sent.
			release = sync.OnceFunc(release)
			c.free = release
		}
		defer release()
		if !c.probe { // nobody reads the bodies of those
			c.body.pass()
		}
		c.next.ServeHTTP(w, r)
		c.pattern = r.Pattern
	}
}

// requestID is the client's, when it is a plausible one, or a new one.
func requestID(r *http.Request) string {
	given := r.Header.Get(headerRequestID)
	if len(given) > 0 && len(given) <= 64 && strings.Trim(given, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_") == "" {
		return given
	}
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	return hex.EncodeToString(random[:])
}

// finish counts and logs a request that has been answered.
func (f *filters) finish(r *http.Request, c *call, answer *recorder, id string, took time.Duration) {
	code := answer.code
	if code == 0 {
		code = http.StatusOK
	}
	f.metrics.observe(r.Method, c.pattern, code, took)
	level, omitted := slog.LevelDebug, int64(0)
	switch {
	case exempt(r.URL.Path):
	case code >= http.StatusInternalServerError, took > slow && !c.long:
		level = slog.LevelInfo
	case code == http.StatusUnauthorized, code == http.StatusForbidden, c.refusal != nil:
		var logged bool
		if logged, omitted = f.refusals.next(); logged {
			level = slog.LevelInfo
		}
	}
	if slog.Default().Enabled(r.Context(), level) {
		attributes := []slog.Attr{slog.String("id", id), slog.String("method", r.Method), slog.String("path", r.URL.Path),
			slog.Int("code", code), slog.Int64("bytes", answer.bytes), slog.Duration("took", took), slog.String("user", c.user), slog.String("address", r.RemoteAddr)}
		if c.refusal != nil {
			attributes = append(attributes, slog.Any("reason", c.refusal))
		}
		if omitted > 0 {
			attributes = append(attributes, slog.Int64("omitted", omitted))
		}
		slog.LogAttrs(r.Context(), level, "request", attributes...)
	}
}
