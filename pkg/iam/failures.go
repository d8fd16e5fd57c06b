package iam

import (
	"context"
	"strconv"
	"time"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/query"
)

// The latest records are looked at, so many at a time and in all.
const (
	recordsPerPage = 500
	recordsCounted = 10000
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
		found := counted{user: user, address: address, since: now().Add(-within)}
		for number := 1; number <= recordsCounted/recordsPerPage; number++ {
			page, err := view.List("", &query.Query{Limit: recordsPerPage, Page: number, SortBy: "creationTimestamp"})
			if err != nil {
				return identity.Failures{}, err
			}
			if !found.all(page.Items) || len(page.Items) < recordsPerPage {
				break
			}
		}
		return found.failures, nil
	}
}

// counted counts records, the latest first.
type counted struct {
	user, address string
	since         time.Time
	failures      identity.Failures
}

// all counts a page and reports whether earlier records matter.
func (c *counted) all(items []*objects.Item) bool {
	for _, item := range items {
		at, err := time.Parse(time.RFC3339, item.Field("metadata.creationTimestamp").String())
		if err != nil || at.Before(c.since) {
			return false
		}
		if item.Labels().Get(iamv1alpha2.LabelUserReference) != c.user || identity.Network(item.Field("spec.sourceIP").String()) != c.address {
			continue
		}
		if item.Field("spec.success").Bool() {
			// Times are whole seconds, and nothing tells what was first within
			// one: it is taken to be the failures, which costs who guesses nothing
			// they could choose.
			if !c.failures.Last.After(at) {
				c.failures = identity.Failures{}
			}
			return false
		}
		if c.failures.Last.IsZero() {
			c.failures.Last = at
		}
		count, _ := strconv.Atoi(item.Field(`metadata.annotations.iam\.kubesphere\.io/attempts`).String()) // 0 if there is none
		c.failures.Count += max(1, count)
	}
	return true
}
