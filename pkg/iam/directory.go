package iam

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"sync/atomic"

	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/query"
)

// Directory finds users, roles and bindings.
type Directory struct {
	// Cache and Catalog keep the objects.
	Cache   *objects.Cache
	Catalog *objects.Catalog
	// Client reads what the cache never keeps, such as password hashes.
	Client client.Client

	globalRoles        Decoded[iamv1alpha2.GlobalRole]
	globalRoleBindings Decoded[iamv1alpha2.GlobalRoleBinding]
}

// Pinned are the types that have to be known before anything can be decided.
func Pinned() []string { return []string{"users", "globalroles", "globalrolebindings"} }

// Get reads a user, with the password hash, as it is stored now.
func (d *Directory) Get(ctx context.Context, name string) (*iamv1alpha2.User, error) {
	user := &iamv1alpha2.User{}
	if err := d.Client.Get(ctx, client.ObjectKey{Name: name}, user); err != nil {
		return nil, err
	}
	return user, nil
}

// NameByEmail returns the name of the user with an e-mail address.
func (d *Directory) NameByEmail(ctx context.Context, email string) (string, bool) {
	view, err := d.Cache.View(ctx, d.Catalog.Type("users"))
	if err != nil {
		return "", false
	}
	found, err := view.List("", &query.Query{Limit: 1, Page: 1, SortBy: "name", Filters: []query.Filter{{Key: "email", Value: email}}, Raw: "email\x00" + email})
	if err != nil || found.Total != 1 {
		return "", false
	}
	return found.Items[0].Name(), true
}

// Account is what is known of a user without asking Kubernetes.
type Account struct {
	Name   string
	State  iamv1alpha2.UserState
	Groups []string
}

// Account returns a user by name from the cache.
func (d *Directory) Account(ctx context.Context, name string) (Account, bool, error) {
	view, err := d.Cache.View(ctx, d.Catalog.Type("users"))
	if err != nil {
		return Account{}, false, err
	}
	item := view.Get("", name)
	if item == nil {
		return Account{}, false, nil
	}
	account := Account{Name: name, State: iamv1alpha2.UserState(item.Field("status.state").String())}
	for _, group := range item.Field("spec.groups").Array() {
		account.Groups = append(account.Groups, group.String())
	}
	return account, true, nil
}

// GlobalRoles returns all global roles with the revision they are of.
func (d *Directory) GlobalRoles(ctx context.Context) (Objects[iamv1alpha2.GlobalRole], error) {
	return d.globalRoles.of(ctx, d.Cache, d.Catalog.Type("globalroles"))
}

// GlobalRoleBindings returns all global role bindings with the revision they are of.
func (d *Directory) GlobalRoleBindings(ctx context.Context) (Objects[iamv1alpha2.GlobalRoleBinding], error) {
	return d.globalRoleBindings.of(ctx, d.Cache, d.Catalog.Type("globalrolebindings"))
}

// Objects are the typed objects of a snapshot. They must not be changed.
type Objects[T any] struct {
	Revision uint64
	Items    []*T
}

// Decoded turns items into typed objects. An item is decoded once; a change
// of one object does not decode the others again.
type Decoded[T any] struct {
	present atomic.Pointer[decoding[T]]
	mu      sync.Mutex
}

type decoding[T any] struct {
	Objects[T]
	byItem map[*objects.Item]*T
}

func (d *Decoded[T]) of(ctx context.Context, cache *objects.Cache, kind *objects.Type) (Objects[T], error) {
	view, err := cache.View(ctx, kind)
	if err != nil {
		return Objects[T]{}, err
	}
	if present := d.present.Load(); present != nil && present.Revision == view.Revision() {
		return present.Objects, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	before := d.present.Load()
	if before != nil && before.Revision >= view.Revision() {
		return before.Objects, nil
	}
	next := &decoding[T]{byItem: make(map[*objects.Item]*T, view.Len())}
	next.Revision = view.Revision()
	view.All(func(item *objects.Item) bool {
		var value *T
		if before != nil {
			value = before.byItem[item]
		}
		if value == nil {
			value = new(T)
			if err := json.Unmarshal([]byte(item.JSON()), value); err != nil {
				// One bad object must not keep everybody out (ks#6149): it
				// gives nothing until it is mended.
				slog.ErrorContext(ctx, "left out, it cannot be read", "kind", kind.Kind, "name", item.Name(), "error", err)
				return true
			}
		}
		next.byItem[item] = value
		next.Items = append(next.Items, value)
		return true
	})
	d.present.Store(next)
	return next.Objects, nil
}
