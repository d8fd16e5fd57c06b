package iam

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	"k8s.io/utils/lru"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
)

// PasswordDigest returns a digest of the password hash of a user. It differs after each
// change of the password, and between users of the same name. Neither the password nor
// its hash can be found from it.
func PasswordDigest(user *iamv1alpha2.User) string {
	digest := sha256.New()
	_, _ = io.WriteString(digest, string(user.UID)+"\x00"+user.Spec.EncryptedPassword)
	return hex.EncodeToString(digest.Sum(nil))
}

// digestTimeout bounds a read of a user that several requests wait for.
const digestTimeout = 10 * time.Second

// passwordDigests remembers the digests of users. A user is read once for each version in
// the cache, whose objects have no hashes.
type passwordDigests struct {
	once  sync.Once
	known *lru.Cache // of knownDigest by name
	reads singleflight.Group
}

// knownDigest is a digest that was read after the cache had an item.
type knownDigest struct {
	item   *objects.Item
	digest string
}

// PasswordDigest returns the present digest of a user, or a not-found error. Kubernetes is
// asked when the user in the cache has changed since the last call.
func (d *Directory) PasswordDigest(ctx context.Context, name string) (string, error) {
	view, err := d.Cache.View(ctx, d.Catalog.Type("users"))
	if err != nil {
		return "", err
	}
	item, version := view.Get("", name), ""
	d.digests.once.Do(func() { d.digests.known = lru.New(knownAccounts) })
	if item != nil {
		version = item.ResourceVersion()
		if known, found := d.digests.known.Get(name); found && known.(knownDigest).item == item {
			return known.(knownDigest).digest, nil
		}
	}
	digest, err, _ := d.digests.reads.Do(name+"\x00"+version, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(kube.AsServer(ctx)), digestTimeout)
		defer cancel()
		user, err := d.Get(ctx, name)
		if err != nil {
			return "", kube.Err(err)
		}
		digest := PasswordDigest(user)
		if item != nil {
			d.digests.known.Add(name, knownDigest{item, digest})
		}
		return digest, nil
	})
	if err != nil {
		return "", err
	}
	return digest.(string), nil
}
