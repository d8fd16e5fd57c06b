package controllers

import (
	"context"
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	networkv1alpha1 "github.com/super-kubenetes/ks-apiserver/api/network/v1alpha1"
	quotav1alpha2 "github.com/super-kubenetes/ks-apiserver/api/quota/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/config"
)

// recordingIndexer records the indexes by type and name.
type recordingIndexer struct{ indexes []string }

func (r *recordingIndexer) IndexField(ctx context.Context, object client.Object, field string, _ client.IndexerFunc) error {
	r.indexes = append(r.indexes, fmt.Sprintf("%T %s", object, field))
	return ctx.Err()
}

// TestIndex: the policies of namespaces are indexed with the context of the manager,
// where they are watched.
func TestIndex(t *testing.T) {
	const policies = "*v1alpha1.NamespaceNetworkPolicy service"
	for _, watched := range []bool{false, true} {
		indexer := &recordingIndexer{}
		if err := index(t.Context(), indexer, watched); err != nil || slices.Contains(indexer.indexes, policies) != watched || len(indexer.indexes) < 3 {
			t.Errorf("watched %v: %q, %v", watched, indexer.indexes, err)
		}
		ended, end := context.WithCancel(t.Context())
		end()
		if err := index(ended, &recordingIndexer{}, watched); err == nil {
			t.Error("the context does not count")
		}
	}
}

// TestWatchesPolicies: a cluster without the definition of policies is reconciled when
// isolation is off.
func TestWatchesPolicies(t *testing.T) {
	with, without := meta.NewDefaultRESTMapper(nil), meta.NewDefaultRESTMapper(nil)
	with.Add(networkv1alpha1.SchemeGroupVersion.WithKind("NamespaceNetworkPolicy"), meta.RESTScopeNamespace)
	for _, test := range []struct {
		name          string
		mapper        meta.RESTMapper
		enabled       bool
		watched, fail bool
	}{
		{"isolation on", with, true, true, false},
		{"isolation off, which removes policies", with, false, true, false},
		{"isolation on, without the definition", without, true, false, true},
		{"isolation off, without the definition", without, false, false, false},
	} {
		c := &Controllers{Network: config.Network{EnableNetworkPolicy: test.enabled}}
		if watched, err := c.watchesPolicies(test.mapper); watched != test.watched || (err != nil) != test.fail {
			t.Errorf("%s: %v, %v", test.name, watched, err)
		}
	}
}

// TestQuotaChanges: every event of a namespace copied the quotas of all workspaces.
func TestQuotaChanges(t *testing.T) {
	namespace := func(workspace string, deleted bool, annotation string) *corev1.Namespace {
		n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "n", Labels: map[string]string{"kubesphere.io/workspace": workspace}, Annotations: map[string]string{"a": annotation}}}
		if deleted {
			n.DeletionTimestamp = new(metav1.Now())
		}
		return n
	}
	for name, test := range map[string]struct {
		before, after *corev1.Namespace
		want          bool
	}{
		"an annotation":     {namespace("a", false, "1"), namespace("a", false, "2"), false},
		"another workspace": {namespace("a", false, ""), namespace("b", false, ""), true},
		"it is deleted":     {namespace("a", false, ""), namespace("a", true, ""), true},
	} {
		if got := quotaChanges().Update(event.UpdateEvent{ObjectOld: test.before, ObjectNew: test.after}); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	quota := &quotav1alpha2.ResourceQuota{Spec: quotav1alpha2.ResourceQuotaSpec{LabelSelector: map[string]string{"kubesphere.io/workspace": "a"}}}
	if got := limitedWorkspaces(quota); !slices.Equal(got, []string{"a"}) || limitedWorkspaces(&quotav1alpha2.ResourceQuota{}) != nil {
		t.Errorf("got %q", got)
	}
}
