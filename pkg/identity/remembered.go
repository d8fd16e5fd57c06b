package identity

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"time"

	"golang.org/x/sync/singleflight"
	"k8s.io/utils/lru"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
)

const (
	// rememberedFor is how long a correct password is remembered.
	rememberedFor = 30 * time.Second
	// maxRemembered bounds how many are remembered.
	maxRemembered = 4096
	// repeatedTimeout bounds a check that several requests wait for.
	repeatedTimeout = 30 * time.Second
)

// rememberedPasswords are correct passwords of a short time, as keyed hashes that are of
// no use outside this process. Clients that send a password with each request (HTTP
// Basic) take one check in that time.
type rememberedPasswords struct {
	secret  []byte
	now     func() time.Time
	correct *lru.Cache // by keyed hash
	checks  singleflight.Group
}

// rememberedUser is a user as the password was checked.
type rememberedUser struct {
	user    *iamv1alpha2.User
	expires time.Time
}

func newRememberedPasswords(random io.Reader, now func() time.Time) *rememberedPasswords {
	if random == nil {
		random = rand.Reader
	}
	secret := make([]byte, sha256.Size)
	if _, err := io.ReadFull(random, secret); err != nil {
		_, _ = rand.Read(secret) // never fails
	}
	return &rememberedPasswords{secret: secret, now: now, correct: lru.New(maxRemembered)}
}

// hash is a keyed hash of texts.
func (r *rememberedPasswords) hash(texts ...string) string {
	mac := hmac.New(sha256.New, r.secret)
	for _, text := range texts {
		_ = binary.Write(mac, binary.BigEndian, uint64(len(text)))
		_, _ = io.WriteString(mac, text)
	}
	return string(mac.Sum(nil))
}

// AuthenticateRepeated is Authenticate for clients that send the password with each
// request. Attempts alike share one check, and a correct password is remembered for a
// short time, at its address and as long as the user does not change.
func (p *Passwords) AuthenticateRepeated(ctx context.Context, attempt Attempt) (*iamv1alpha2.User, error) {
	if p.Version == nil {
		return p.Authenticate(ctx, attempt)
	}
	hash := p.remembered.hash(attempt.Name, Network(attempt.Address), attempt.Password)
	if user := p.recall(ctx, hash, attempt); user != nil {
		return user, nil
	}
	checked := p.remembered.checks.DoChan(hash, func() (any, error) {
		// The check goes on for the others when the first client goes away.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), repeatedTimeout)
		defer cancel()
		user, err := p.Authenticate(ctx, attempt)
		if err == nil {
			p.remembered.correct.Add(hash, rememberedUser{user: user, expires: p.remembered.now().Add(rememberedFor)})
		}
		return user, err
	})
	select {
	case outcome := <-checked:
		if outcome.Err != nil {
			return nil, outcome.Err
		}
		return outcome.Val.(*iamv1alpha2.User), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// recall returns the user of a correct password that is remembered, or nil. While
// failures of the name are counted at the address it recalls nothing: it would tell a
// right guess from a wrong one without a limit.
func (p *Passwords) recall(ctx context.Context, hash string, attempt Attempt) *iamv1alpha2.User {
	found, known := p.remembered.correct.Get(hash)
	if !known {
		return nil
	}
	remembered := found.(rememberedUser)
	if !p.remembered.now().Before(remembered.expires) || p.Version(ctx, remembered.user.Name) != remembered.user.ResourceVersion {
		p.remembered.correct.Remove(hash)
		return nil
	}
	if p.backoff.remaining(p.backoff.failures(ctx, remembered.user.Name, Network(attempt.Address))) > 0 {
		return nil
	}
	return remembered.user
}
