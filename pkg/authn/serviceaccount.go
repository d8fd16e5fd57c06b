package authn

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/token/cache"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/token"
)

// TokenReviewer asks Kubernetes whose a token is. A typed client of
// authentication.k8s.io/v1 is one.
type TokenReviewer interface {
	Create(ctx context.Context, review *authenticationv1.TokenReview, options metav1.CreateOptions) (*authenticationv1.TokenReview, error)
}

const (
	// A review is believed for a moment, as kube-apiserver's own webhook
	// authenticator does: a deleted service account is refused within it.
	serviceAccountTTL = 10 * time.Second
	reviewTimeout     = 10 * time.Second
	// concurrentReviews bounds how many tokens Kubernetes is asked about at once:
	// anybody can make up tokens that have to be reviewed.
	concurrentReviews = 16
	// maxServiceAccountToken bounds the tokens that are looked at, in bytes.
	maxServiceAccountToken = 16 << 10
	// extraOfKubernetes begins the keys Kubernetes sets: pod, node and ID of the
	// credential.
	extraOfKubernetes = "authentication.kubernetes.io/"
)

// serviceAccounts implements authenticator.Token for tokens of the cluster's
// service accounts.
type serviceAccounts struct {
	reviewer TokenReviewer
	slots    chan struct{}
}

// NewServiceAccounts returns an authenticator of service account tokens. It has no
// opinion about other tokens, those of an issuer, this server, included.
func NewServiceAccounts(reviewer TokenReviewer, issuer string) authenticator.Token {
	reviewed := &serviceAccounts{reviewer: reviewer, slots: make(chan struct{}, concurrentReviews)}
	return &claimedServiceAccounts{issuer: issuer, reviewed: cache.New(reviewed, false, serviceAccountTTL, serviceAccountTTL)}
}

// claimedServiceAccounts passes on the tokens that claim to be of a service account.
type claimedServiceAccounts struct {
	issuer   string
	reviewed authenticator.Token
}

// AuthenticateToken implements authenticator.Token.
func (c *claimedServiceAccounts) AuthenticateToken(ctx context.Context, text string) (*authenticator.Response, bool, error) {
	if !claimsServiceAccount(text, c.issuer) {
		return nil, false, nil
	}
	found, ok, err := c.reviewed.AuthenticateToken(ctx, text)
	if err == nil && !ok {
		err = token.ErrInvalid
	}
	if err != nil {
		return nil, false, err
	}
	return found, true, nil
}

// claimsServiceAccount reports whether a text is a JWT whose subject is a service
// account, and which another issuer signed. Its signature is for Kubernetes to check.
func claimsServiceAccount(text, issuer string) bool {
	if len(text) > maxServiceAccountToken || strings.Count(text, ".") != 2 {
		return false
	}
	_, rest, _ := strings.Cut(text, ".")
	encoded, _, _ := strings.Cut(rest, ".")
	payload, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil || !bytes.Contains(payload, []byte(serviceaccount.ServiceAccountUsernamePrefix)) {
		return false
	}
	var claims struct {
		Issuer  string `json:"iss"`
		Subject string `json:"sub"`
	}
	if json.Unmarshal(payload, &claims) != nil || claims.Issuer == issuer {
		return false
	}
	_, _, err = serviceaccount.SplitUsername(claims.Subject)
	return err == nil
}

// AuthenticateToken implements authenticator.Token. Errors are those of asking.
func (s *serviceAccounts) AuthenticateToken(ctx context.Context, text string) (*authenticator.Response, bool, error) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		return nil, false, identity.ErrBusy
	}
	ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
	defer cancel()
	review, err := s.reviewer.Create(ctx, &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: text}}, metav1.CreateOptions{})
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return nil, false, kube.Err(err)
	case err != nil:
		return nil, false, kube.Err(fmt.Errorf("reviewing a token: %w", err))
	case !review.Status.Authenticated:
		return nil, false, nil
	}
	// Whatever else Kubernetes may know tokens of is no business of this server.
	reviewed := review.Status.User
	namespace, _, err := serviceaccount.SplitUsername(reviewed.Username)
	if err != nil {
		return nil, false, nil //nolint:nilerr // it is no service account
	}
	extra := make(map[string][]string)
	for key, values := range reviewed.Extra {
		if strings.HasPrefix(key, extraOfKubernetes) {
			extra[key] = values
		}
	}
	// The groups follow from the name, whatever the review says: a service account
	// is in no others, such as system:masters.
	return &authenticator.Response{User: &user.DefaultInfo{
		Name: reviewed.Username, UID: reviewed.UID, Groups: serviceaccount.MakeGroupNames(namespace), Extra: extra,
	}}, true, nil
}
