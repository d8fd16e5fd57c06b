package authn

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilcache "k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/token"
	"github.com/super-kubenetes/ks-apiserver/pkg/turns"
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
	// any client can make up tokens that have to be reviewed. The tokens that Kubernetes
	// accepted before have as many reviews of their own.
	concurrentReviews = 16
	// Each client address has a share of the reviews.
	reviewsPerAddress      = concurrentReviews / 4
	knownReviewsPerAddress = concurrentReviews / 2
	// When all are being made the addresses take turns; so many reviews of each wait.
	reviewQueue = reviewsPerAddress
	reviewWait  = 5 * time.Second
	// reviewedTokens bounds how many tokens are remembered, accepted or refused.
	reviewedTokens = 4096
	// acceptedFor is how long a token counts as one that Kubernetes accepted before.
	acceptedFor = time.Hour
	// maxServiceAccountToken bounds the tokens that are looked at, in bytes.
	maxServiceAccountToken = 16 << 10
	// extraOfKubernetes begins the keys Kubernetes sets: pod, node and ID of the
	// credential.
	extraOfKubernetes = "authentication.kubernetes.io/"
)

// serviceAccounts implements authenticator.Token for tokens of the cluster's
// service accounts.
type serviceAccounts struct {
	issuer   string
	reviewer TokenReviewer
	// knownReviews are of tokens that Kubernetes accepted before, reviews of others,
	// both by the network of the client.
	knownReviews, reviews *turns.Turns
	// responses holds the latest reviews of tokens; made-up tokens fill refused and
	// leave responses alone.
	responses, refused, accepted *utilcache.LRUExpireCache
	lookups                      singleflight.Group
}

// NewServiceAccounts returns an authenticator of service account tokens. It has no
// opinion about other tokens, those of an issuer, this server, included.
func NewServiceAccounts(reviewer TokenReviewer, issuer string) authenticator.Token {
	return &serviceAccounts{
		issuer: issuer, reviewer: reviewer,
		knownReviews: newReviews(knownReviewsPerAddress), reviews: newReviews(reviewsPerAddress),
		responses: utilcache.NewLRUExpireCache(reviewedTokens), refused: utilcache.NewLRUExpireCache(reviewedTokens), accepted: utilcache.NewLRUExpireCache(reviewedTokens),
	}
}

// newReviews returns the turns of reviews, with a share for each address.
func newReviews(share int) *turns.Turns {
	return turns.New(concurrentReviews, share, reviewWait, "too many tokens are being reviewed").Queue(reviewQueue)
}

// AuthenticateToken implements authenticator.Token. It fails with token.ErrInvalid
// for a token that Kubernetes refuses, and with identity.ErrBusy when the client's
// address has its share of the reviews that are made and wait, or none is free in time.
func (s *serviceAccounts) AuthenticateToken(ctx context.Context, text string) (*authenticator.Response, bool, error) {
	if !claimsServiceAccount(text, s.issuer) {
		return nil, false, nil
	}
	digest := sha256.Sum256([]byte(text))
	if response, found := s.responses.Get(digest); found {
		return response.(*authenticator.Response), true, nil
	}
	if _, found := s.refused.Get(digest); found {
		return nil, false, token.ErrInvalid
	}
	// Requests with the same token share a review. Those of another address do not:
	// their share may not be used up.
	network := identity.Network(request.Address(ctx))
	response, err, _ := s.lookups.Do(string(digest[:])+network, func() (any, error) {
		return s.lookup(context.WithoutCancel(ctx), text, digest, network)
	})
	if err != nil {
		return nil, false, err
	}
	return response.(*authenticator.Response), true, nil
}

// lookup reviews a token within the share of an address, and remembers the outcome.
func (s *serviceAccounts) lookup(ctx context.Context, text string, digest [sha256.Size]byte, network string) (*authenticator.Response, error) {
	reviews := s.reviews
	if _, known := s.accepted.Get(digest); known {
		reviews = s.knownReviews
	}
	release, err := reviews.Take(ctx, network)
	if err != nil {
		return nil, identity.ErrBusy
	}
	defer release()
	response, err := s.review(ctx, text)
	switch {
	case err != nil:
		return nil, err
	case response == nil:
		s.refused.Add(digest, true, serviceAccountTTL)
		return nil, token.ErrInvalid
	}
	s.responses.Add(digest, response, serviceAccountTTL)
	s.accepted.Add(digest, true, acceptedFor)
	return response, nil
}

// usernamePrefixes are the forms in base64 of the beginning of user names of service
// accounts, one for each place in a group of three bytes. Other tokens need no decoding.
var usernamePrefixes = base64Forms(serviceaccount.ServiceAccountUsernamePrefix)

// accessTokenTypes are the forms in base64 of the type in the header of our access tokens
// (RFC 9068), which no token of a service account has. The rest of them is not looked at.
var accessTokenTypes = base64Forms(`"typ":"at+jwt"`)

// base64Forms are the forms of a part of a text in base64.
func base64Forms(part string) []string {
	forms := make([]string, 0, 3)
	for skipped := range 3 {
		encoded := base64.RawURLEncoding.EncodeToString(append(make([]byte, skipped), part...))
		// Without the characters that also hold bits of the bytes before and after.
		forms = append(forms, encoded[(skipped*8+5)/6:(skipped+len(part))*8/6])
	}
	return forms
}

func containsOne(text string, parts []string) bool {
	for _, part := range parts {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// claimsServiceAccount reports whether a text is a JWT whose subject is a service
// account, and which another issuer signed. Its signature is for Kubernetes to check.
func claimsServiceAccount(text, issuer string) bool {
	if len(text) > maxServiceAccountToken {
		return false
	}
	header, _, found := strings.Cut(text, ".")
	if !found || containsOne(header, accessTokenTypes) || strings.Count(text, ".") != 2 || !containsOne(text, usernamePrefixes) {
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

// review asks Kubernetes whose a token is. The response is nil for a token of no
// service account.
func (s *serviceAccounts) review(ctx context.Context, text string) (*authenticator.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
	defer cancel()
	review, err := s.reviewer.Create(ctx, &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: text}}, metav1.CreateOptions{})
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return nil, kube.Err(err)
	case err != nil:
		return nil, kube.Err(fmt.Errorf("reviewing a token: %w", err))
	case !review.Status.Authenticated:
		return nil, nil
	}
	// Whatever else Kubernetes may know tokens of is no business of this server.
	reviewed := review.Status.User
	namespace, _, err := serviceaccount.SplitUsername(reviewed.Username)
	if err != nil {
		return nil, nil //nolint:nilerr // it is no service account
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
	}}, nil
}
