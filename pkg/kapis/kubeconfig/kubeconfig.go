package kubeconfig

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authn"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/session"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/token"
)

// oauthClient is the name of the client the sessions of kubectl belong to. It
// is no client that can ask for tokens: such a session is never refreshed.
const oauthClient = "kubectl"

// Handler serves kubeconfigs.
type Handler struct {
	Accounts Accounts
	Sessions Sessions
	Tokens   Tokens
	// Lifetime is how long the token in a kubeconfig is valid.
	Lifetime time.Duration
	// Address is where clients reach this server.
	Address Address
}

// Accounts finds users.
type Accounts interface {
	Account(ctx context.Context, name string) (iam.Account, bool, error)
}

// Sessions starts logins.
type Sessions interface {
	Create(ctx context.Context, user, oauthClient string) (*iamv1alpha2.Session, string, error)
	StartUnrefreshed(ctx context.Context, login session.Login) (*iamv1alpha2.Session, error)
}

// Tokens issues access tokens.
type Tokens interface {
	Issue(grant token.Grant) (string, error)
}

// Group declares the operation.
func (h *Handler) Group() route.Group {
	return route.Group{
		Prefix: "/kapis/resources.kubesphere.io/v1alpha2", Tag: "Accounts", Description: "Users, groups and members.",
		Routes: []route.Route{{
			Method: http.MethodGet, Path: "/users/{user}/kubeconfig", ID: "getKubeconfig", Summary: "Get a kubeconfig for this server",
			Description: "One's own holds an access token, whose session ends when the password is changed. That of another user holds no credentials. The server is the configured public address; a comment and a Warning header say so when there is none.",
			Parameters:  []route.Parameter{{In: route.InPath, Name: "user", Required: true, Description: "Name of the user."}},
			Produces:    []string{"text/plain"},
			Responses:   []route.Response{{Code: http.StatusOK, Description: "The kubeconfig, in YAML.", Model: ""}},
			Handler:     h.get,
		}},
	}
}

func (h *Handler) get(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("user")
	_, found, err := h.Accounts.Account(r.Context(), name)
	if err != nil {
		return err
	}
	if !found {
		return status.NotFound("users.iam.kubesphere.io %q not found", name)
	}
	who, known := kuberequest.UserFrom(r.Context())
	credentials := clientcmdapi.NewAuthInfo()
	if known && who.GetName() == name {
		if credentials.Token, err = h.token(r.Context(), who); err != nil {
			return kube.Err(err)
		}
	}
	cluster, known, err := h.Address.cluster(r)
	if err != nil {
		return err
	}
	content, err := write(name, cluster, credentials)
	if err != nil {
		return err
	}
	header := w.Header()
	if !known {
		// The console shows the text, and kubectl ignores comments.
		warning := fmt.Sprintf(unknownAddress, r.Host)
		header.Add("Warning", "299 - "+strconv.Quote(warning))
		content = append([]byte("# "+warning+"\n"), content...)
	}
	header.Set("Content-Type", "text/plain; charset=utf-8")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	_, _ = w.Write(content)
	return nil
}

// token is an access token in a session of its own, so that it can be ended. The
// session lasts no longer than the token: each download makes one.
func (h *Handler) token(ctx context.Context, who user.Info) (string, error) {
	created, err := h.Sessions.StartUnrefreshed(ctx, session.Login{User: who.GetName(), Client: oauthClient, AccessToken: h.Lifetime})
	if err != nil {
		return "", err
	}
	return h.Tokens.Issue(token.Grant{User: who.GetName(), Client: oauthClient, Session: created.Name, Lifetime: h.Lifetime})
}

// Session returns the session of a caller, or one of its own for a caller
// without: tokens for programs that run for somebody end with it.
func (h *Handler) Session(ctx context.Context, who user.Info) (string, error) {
	if sessions := who.GetExtra()[authn.ExtraSession]; len(sessions) > 0 {
		return sessions[0], nil
	}
	created, _, err := h.Sessions.Create(ctx, who.GetName(), oauthClient)
	if err != nil {
		return "", err
	}
	return created.Name, nil
}

// Kubeconfig returns a kubeconfig for a server that is checked by certificates
// in PEM, those of the system if there are none, with a token that belongs to a
// session.
func (h *Handler) Kubeconfig(user, sessionName, server string, authority []byte, lifetime time.Duration) ([]byte, error) {
	credentials, cluster := clientcmdapi.NewAuthInfo(), clientcmdapi.NewCluster()
	var err error
	credentials.Token, err = h.Tokens.Issue(token.Grant{User: user, Client: oauthClient, Session: sessionName, Lifetime: min(lifetime, h.Lifetime)})
	if err != nil {
		return nil, err
	}
	cluster.Server, cluster.CertificateAuthorityData = server, authority
	return write(user, cluster, credentials)
}

func write(name string, cluster *clientcmdapi.Cluster, credentials *clientcmdapi.AuthInfo) ([]byte, error) {
	const clusterName = "kubesphere"
	current := clientcmdapi.NewContext()
	current.Cluster, current.AuthInfo, current.Namespace = clusterName, name, "default"
	config := clientcmdapi.NewConfig()
	config.CurrentContext = name + "@" + clusterName
	config.Clusters[clusterName], config.AuthInfos[name], config.Contexts[config.CurrentContext] = cluster, credentials, current
	return clientcmd.Write(*config)
}
