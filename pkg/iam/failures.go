package iam

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
)

// Failures returns a function that counts the failed attempts of a user from an
// address (as identity.Network writes it) since the last success, of those
// recorded within a time. So replicas know of each other's, and a new process
// of those of the one before.
func (d *Directory) Failures(within time.Duration, now func() time.Time) func(ctx context.Context, user, address string) (identity.Failures, error) {
	return func(ctx context.Context, user, address string) (identity.Failures, error) {
		view, err := d.Cache.View(ctx, d.Catalog.Type("loginrecords"))
		if err != nil {
			return identity.Failures{}, err
		}
		var records []*objects.Item
		if err := view.With("user", user, func(record *objects.Item) bool {
			records = append(records, record)
			return true
		}); err != nil {
			return identity.Failures{}, err
		}
		slices.SortFunc(records, func(a, b *objects.Item) int { return b.Created().Compare(a.Created()) })
		return failures(records, address, now().Add(-within)), nil
	}
}

// failures counts the failed attempts from an address in the records of a user,
// the latest first, since the last success or a time, whichever is later, and tells
// whether there is a success.
func failures(records []*objects.Item, address string, since time.Time) identity.Failures {
	var found identity.Failures
	for _, record := range records {
		at := record.Created()
		if identity.Network(record.Field("spec.sourceIP").String()) != address {
			continue
		}
		if record.Field("spec.success").Bool() {
			// Times are whole seconds, and nothing tells what was first within
			// one: it is taken to be the failures, which costs who guesses nothing
			// they could choose.
			if !found.Last.After(at) {
				found = identity.Failures{}
			}
			found.Succeeded = true
			break
		}
		if at.Before(since) {
			continue
		}
		if found.Last.IsZero() {
			found.Last = at
		}
		count, _ := strconv.Atoi(record.Field(`metadata.annotations.iam\.kubesphere\.io/attempts`).String()) // 0 if there is none
		found.Count += max(1, count)
	}
	return found
}
