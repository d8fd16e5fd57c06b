package accesstoken

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/lru"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/lookups"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/quota"
	"github.com/super-kubenetes/ks-apiserver/pkg/session"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// ErrInvalid is a token that is none of ours, or none any more.
var ErrInvalid = errors.New("the access token is invalid, expired or revoked")

// Prefix is what all tokens begin with, so that scanners find one that got out.
const Prefix = "ksp_"

// Names of objects and lengths of tokens.
const (
	namePrefix  = "pat-"
	idBytes     = 16
	secretBytes = 32
)

const (
	// remembered bounds the tokens whose hash was compared before.
	remembered = 4096
	// creatingAtOnce bounds by how many tokens users at several replicas get past
	// the bound.
	creatingAtOnce = 4
)

// Token is a token as it is made.
type Token struct {
	Description string
	Scopes      []string
	Lifetime    time.Duration
}

// Grant is what a token gives.
type Grant struct {
	// Name is that of the object.
	Name   string
	User   string
	Scopes []string
}

// Tokens makes and checks personal access tokens.
type Tokens struct {
	// Cache knows which tokens there are.
	Cache *objects.Cache
	Kind  *objects.Type
	// Client writes tokens, and reads the hashes the cache never keeps.
	Client client.Client
	Now    func() time.Time
	Random io.Reader
	// PerUser is how many tokens a user has at the most; 0 is no bound.
	PerUser int

	creating *quota.Quota // by user
	known    *lru.Cache   // of checked by the hash of a token
	// Tokens that nobody made do not use up the lookups of those that exist.
	ofKnown, ofUnknown *lookups.Limiter
}

// checked is a token whose hash was compared with that of an object.
type checked struct{ name, uid string }

// New returns tokens over a cache and a client.
func New(cache *objects.Cache, kind *objects.Type, c client.Client, now func() time.Time, random io.Reader) *Tokens {
	return &Tokens{Cache: cache, Kind: kind, Client: c, Now: now, Random: random, creating: quota.New(0, creatingAtOnce), known: lru.New(remembered), ofKnown: lookups.New(lookups.Unknown()), ofUnknown: lookups.New(lookups.Unknown())}
}

// Create makes a token for a user. It is returned here and nowhere else. It fails
// with 403 for a user who has as many as there may be: programs use the older
// ones, so that none is deleted for another.
func (t *Tokens) Create(ctx context.Context, user string, wanted Token) (*iamv1alpha2.PersonalAccessToken, string, error) {
	if err := t.creating.Take(user, 1); err != nil {
		return nil, "", status.TooManyRequests(time.Second, "%d access tokens of this user are being created at the moment", creatingAtOnce)
	}
	defer t.creating.Release(user, 1)
	if err := t.hasRoom(ctx, user); err != nil {
		return nil, "", err
	}
	random := make([]byte, idBytes+secretBytes)
	if _, err := io.ReadFull(t.Random, random); err != nil {
		return nil, "", fmt.Errorf("creating an access token: %w", err)
	}
	id := hex.EncodeToString(random[:idBytes])
	text := Prefix + id + base64.RawURLEncoding.EncodeToString(random[idBytes:])
	created := &iamv1alpha2.PersonalAccessToken{
		ObjectMeta: metav1.ObjectMeta{Name: namePrefix + id, Labels: map[string]string{iamv1alpha2.LabelUserReference: session.UserLabel(user)}},
		Spec: iamv1alpha2.PersonalAccessTokenSpec{
			User: user, Description: wanted.Description, Scopes: wanted.Scopes, TokenHash: hash(text),
			ExpirationTime: metav1.NewTime(t.Now().Add(wanted.Lifetime)),
		},
	}
	if err := t.Client.Create(ctx, created); err != nil {
		return nil, "", fmt.Errorf("creating an access token: %w", err)
	}
	return created, text, nil
}

// hasRoom fails when a user has as many tokens as there may be.
func (t *Tokens) hasRoom(ctx context.Context, user string) error {
	if t.PerUser == 0 {
		return nil
	}
	view, err := t.Cache.View(ctx, t.Kind)
	if err != nil {
		return err
	}
	count := 0
	if err := view.With("user", user, func(item *objects.Item) bool {
		if t.alive(item.Field("spec.expirationTime").Time(), item.Field("metadata.deletionTimestamp").Exists()) == nil {
			count++
		}
		return true
	}); err != nil {
		return err
	}
	if count >= t.PerUser {
		return status.Forbidden(iamv1alpha2.Resource("personalaccesstokens"), "", "exceeded quota: user %q has %d personal access tokens, the maximum is %d; revoke one that is not used", user, count, t.PerUser)
	}
	return nil
}

// Verify returns what a token gives, or ErrInvalid. It fails with 429 for a token
// that cannot be checked now.
func (t *Tokens) Verify(ctx context.Context, text string) (*Grant, error) {
	name, found := nameOf(text)
	if !found {
		return nil, ErrInvalid
	}
	digest := hash(text)
	view, err := t.Cache.View(ctx, t.Kind)
	if err != nil {
		return nil, err
	}
	limit, holder := t.ofUnknown, ""
	if item := view.Get("", name); item != nil {
		// Who knows the name of a token has had the token: its user takes the turns, from
		// however many addresses.
		limit, holder = t.ofKnown, item.Field("spec.user").String()
		if known, found := t.known.Get(digest); found && known == (checked{name, item.UID()}) {
			grant := &Grant{Name: name, User: item.Field("spec.user").String()}
			for _, scope := range item.Field("spec.scopes").Array() {
				grant.Scopes = append(grant.Scopes, scope.String())
			}
			return grant, t.alive(item.Field("spec.expirationTime").Time(), item.Field("metadata.deletionTimestamp").Exists())
		}
	}
	if err := limit.Take(ctx, holder); err != nil {
		return nil, err
	}
	stored := &iamv1alpha2.PersonalAccessToken{}
	if err := t.Client.Get(ctx, client.ObjectKey{Name: name}, stored); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, ErrInvalid
		}
		return nil, err
	}
	if subtle.ConstantTimeCompare([]byte(stored.Spec.TokenHash), []byte(digest)) != 1 {
		return nil, ErrInvalid
	}
	if err := t.alive(stored.Spec.ExpirationTime.Time, stored.DeletionTimestamp != nil); err != nil {
		return nil, err
	}
	t.known.Add(digest, checked{name, string(stored.UID)})
	return &Grant{Name: name, User: stored.Spec.User, Scopes: stored.Spec.Scopes}, nil
}

// Active reports whether a token goes on that was verified before, by the name
// of its object.
func (t *Tokens) Active(ctx context.Context, name string) (bool, error) {
	view, err := t.Cache.View(ctx, t.Kind)
	if err != nil {
		return false, err
	}
	item := view.Get("", name)
	return item != nil && t.alive(item.Field("spec.expirationTime").Time(), item.Field("metadata.deletionTimestamp").Exists()) == nil, nil
}

func (t *Tokens) alive(expires time.Time, deleted bool) error {
	if deleted || !t.Now().Before(expires) {
		return ErrInvalid
	}
	return nil
}

// Revoke ends a token of a user; a not-found error if it is none.
func (t *Tokens) Revoke(ctx context.Context, user, name string) error {
	stored := &iamv1alpha2.PersonalAccessToken{}
	if err := t.Client.Get(ctx, client.ObjectKey{Name: name}, stored); err != nil {
		return err
	}
	if stored.Spec.User != user {
		return apierrors.NewNotFound(iamv1alpha2.Resource("personalaccesstokens"), name)
	}
	return t.Client.Delete(ctx, stored, client.Preconditions{UID: &stored.UID})
}

// Sweep deletes tokens that are over.
func (t *Tokens) Sweep(ctx context.Context) error {
	tokens := &iamv1alpha2.PersonalAccessTokenList{}
	if err := t.Client.List(ctx, tokens); err != nil {
		return err
	}
	var problems []error
	for n := range tokens.Items {
		if t.alive(tokens.Items[n].Spec.ExpirationTime.Time, false) != nil {
			problems = append(problems, client.IgnoreNotFound(t.Client.Delete(ctx, &tokens.Items[n])))
		}
	}
	return errors.Join(problems...)
}

// nameOf is the name of the object a token is of.
func nameOf(text string) (string, bool) {
	rest, found := strings.CutPrefix(text, Prefix)
	if !found || len(rest) != 2*idBytes+base64.RawURLEncoding.EncodedLen(secretBytes) {
		return "", false
	}
	id := rest[:2*idBytes]
	return namePrefix + id, strings.Trim(id, "0123456789abcdef") == ""
}

func hash(text string) string {
	digest := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(digest[:])
}
