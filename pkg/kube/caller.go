package kube

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"k8s.io/apiserver/pkg/authentication/user"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/client-go/rest"
)

// Impersonate replaces everything in a header that says who sends a request
// by who does, as the context says, see WithIdentity.
func Impersonate(ctx context.Context, header http.Header, who user.Info) {
	RemoveIdentity(header)
	if identity, found := IdentityFrom(ctx); found && identity.Own {
		return
	}
	header.Set("Impersonate-User", who.GetName())
	if groups := groupsIn(ctx, who); len(groups) > 0 {
		header["Impersonate-Group"] = groups
	}
	if another, ok := who.(*Another); ok {
		if another.UID != "" {
			header.Set("Impersonate-Uid", another.UID)
		}
		for key, values := range another.extra() {
			header["Impersonate-Extra-"+escaped(key)] = values
		}
	}
}

// RemoveIdentity removes everything from a header that says who sends a request.
// To what is behind CGI or WSGI a low line is the same as a hyphen.
func RemoveIdentity(header http.Header) {
	for name := range header {
		plain := strings.ReplaceAll(name, "_", "-")
		if hasPrefix(plain, "Impersonate-") || hasPrefix(plain, "X-Remote-") || hasPrefix(plain, "X-Kubesphere-") {
			delete(header, name)
		}
	}
	header.Del("Authorization")
	header.Del("Cookie")
}

// escaped is a key as part of the name of a header.
func escaped(key string) string {
	var name strings.Builder
	for _, c := range []byte(key) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_':
			name.WriteByte(c)
		default:
			fmt.Fprintf(&name, "%%%02X", c)
		}
	}
	return name.String()
}

func hasPrefix(text, prefix string) bool {
	return len(text) >= len(prefix) && strings.EqualFold(text[:len(prefix)], prefix)
}

// Identify says whom a request to Kubernetes is made as that a handler makes for a user.
type Identify func(r *http.Request, who user.Info) (Identity, error)

// Acting returns a configuration whose requests are made as the user in their
// context, as WithCaller puts it there, in the groups that identify says, or by the
// account of this server, if identify says that or there is no user. Whoever uses it has
// authorized what is done; Kubernetes decides about it, too.
func Acting(config *rest.Config, identify Identify) *rest.Config {
	config = rest.CopyConfig(config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return &acting{next: next, identify: identify} })
	return config
}

// WithCaller returns a context whose requests are made as a user.
func WithCaller(ctx context.Context, who user.Info) context.Context {
	return kuberequest.WithUser(ctx, who)
}

// AsServer returns a context whose requests are made as this server, whoever
// the context is of: what follows from a login is nobody's who logs in.
func AsServer(ctx context.Context) context.Context {
	return kuberequest.WithUser(ctx, nil)
}

type acting struct {
	next     http.RoundTripper
	identify Identify
}

// RoundTrip implements http.RoundTripper.
func (a *acting) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	who, _ := kuberequest.UserFrom(ctx)
	if given, _ := IdentityFrom(ctx); !given.Own {
		identity := Identity{Own: true}
		if who != nil {
			var err error
			if identity, err = a.identify(r, who); err != nil { // of this request, whatever it is a part of
				return nil, err
			}
		}
		ctx = WithIdentity(ctx, identity)
	}
	r = r.Clone(ctx)
	// Our own credentials are there already, set by client-go around this.
	ours := r.Header.Values("Authorization")
	Impersonate(ctx, r.Header, who)
	for _, value := range ours {
		r.Header.Add("Authorization", value)
	}
	return a.next.RoundTrip(r)
}
