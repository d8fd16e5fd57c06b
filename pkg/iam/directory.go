package iam

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"k8s.io/client-go/util/retry"
	"k8s.io/utils/lru"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
)

// Directory finds users, roles and bindings.
type Directory struct {
	// Cache and Catalog keep the objects.
	Cache   *objects.Cache
	Catalog *objects.Catalog
	// Client reads what the cache never keeps, such as password hashes.
	Client client.Client

	rights  rights
	digests passwordDigests
	members atomic.Pointer[platformMembers]

	once     sync.Once
	accounts *lru.Cache // of knownAccount by name

	orderOnce sync.Once
	orders    *lru.Cache // of *orderedGroups by name
}

// knownAccounts bounds how many accounts are kept as they were read last.
const knownAccounts = 4096

// Waits implements authz.FirstChange.
func (d *Directory) Waits(ctx context.Context, name string) (bool, error) {
	account, found, err := d.Account(ctx, name)
	return found && account.Uninitialized, err
}

// knownAccount is what was read from an object, which never changes.
type knownAccount struct {
	item    *objects.Item
	account Account
}

// Pinned are the types that have to be known before anything can be decided.
func Pinned() []string {
	return []string{
		"users", "globalroles", "globalrolebindings", "workspaceroles", "workspacerolebindings",
		"clusterroles", "clusterrolebindings", "roles", "rolebindings", "namespaces",
	}
}

// Get reads a user, with the password hash, as it is stored now.
func (d *Directory) Get(ctx context.Context, name string) (*iamv1alpha2.User, error) {
	user := &iamv1alpha2.User{}
	if err := d.Client.Get(ctx, client.ObjectKey{Name: name}, user); err != nil {
		return nil, err
	}
	return user, nil
}

// Rehash implements identity.Users.
func (d *Directory) Rehash(ctx context.Context, user *iamv1alpha2.User, hash string) error {
	present := user.DeepCopy()
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		if present.ResourceVersion == "" {
			if err := d.Client.Get(ctx, client.ObjectKeyFromObject(user), present); err != nil {
				return err
			}
		}
		if present.Spec.EncryptedPassword != user.Spec.EncryptedPassword {
			return nil // it was changed since
		}
		present.Spec.EncryptedPassword = hash
		err := d.Client.Update(ctx, present)
		present.ResourceVersion = ""
		return err
	})
}

// NameByEmail returns the name of the one user with an e-mail address.
func (d *Directory) NameByEmail(ctx context.Context, email string) (string, bool) {
	view, err := d.Cache.View(ctx, d.Catalog.Type("users"))
	if err != nil {
		return "", false
	}
	var names []string
	if err := view.With("email", iamv1alpha2.NormalizeEmail(email), func(user *objects.Item) bool {
		names = append(names, user.Name())
		return len(names) < 2
	}); err != nil || len(names) != 1 {
		return "", false
	}
	return names[0], true
}

// Version is the resource version of a user in the cache, "" for none that is active.
func (d *Directory) Version(ctx context.Context, name string) string {
	account, found, err := d.Account(ctx, name)
	if err != nil || !found || account.State != iamv1alpha2.UserActive {
		return ""
	}
	view, err := d.Cache.View(ctx, d.Catalog.Type("users"))
	if err != nil {
		return ""
	}
	if item := view.Get("", name); item != nil {
		return item.ResourceVersion()
	}
	return ""
}

// Account is what is known of a user without asking Kubernetes.
type Account struct {
	Name string
	// UID is that of the User object.
	UID    string
	State  iamv1alpha2.UserState
	Groups []string
	// Uninitialized is whether somebody else chose the password.
	Uninitialized bool
}

// Account returns a user by name from the cache.
func (d *Directory) Account(ctx context.Context, name string) (Account, bool, error) {
	view, err := d.Cache.View(ctx, d.Catalog.Type("users"))
	if err != nil {
		return Account{}, false, err
	}
	item := view.Get("", name)
	d.once.Do(func() { d.accounts = lru.New(knownAccounts) })
	if known, found := d.accounts.Get(name); found && item != nil && known.(knownAccount).item == item {
		account := known.(knownAccount).account
		account.Groups = d.accountGroups(ctx, item, account.Groups)
		return account, true, nil
	}
	if item == nil || item.Field("metadata.deletionTimestamp").Exists() {
		return Account{}, false, nil // who is being deleted is gone already
	}
	account := Account{Name: name, UID: item.UID(), State: iamv1alpha2.UserState(item.Field("status.state").String())}
	account.Uninitialized = item.Field(`metadata.annotations.iam\.kubesphere\.io/uninitialized`).String() != ""
	for _, group := range item.Field("spec.groups").Array() {
		account.Groups = append(account.Groups, group.String())
	}
	account.Groups = slices.Clip(account.Groups) // whoever appends makes a copy
	d.accounts.Add(name, knownAccount{item, account})
	account.Groups = d.accountGroups(ctx, item, account.Groups)
	return account, true, nil
}
