package tenant

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	quotav1alpha2 "github.com/super-kubenetes/ks-apiserver/api/quota/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// quotaOf is a quota of a workspace that limits a number of names.
func quotaOf(names int) *quotav1alpha2.ResourceQuota {
	quota := &quotav1alpha2.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "wq", Labels: of("w")}}
	quota.Spec.LabelSelector = of("w")
	quota.Spec.Quota.Hard = make(corev1.ResourceList, names)
	for n := range names {
		quota.Spec.Quota.Hard[corev1.ResourceName(fmt.Sprintf("count/things%d.example.com", n))] = resource.MustParse("10")
	}
	return quota
}

// TestValidateQuotaSize: a quota is copied into each namespace of its workspace, so that
// its size is bounded. One that is larger already may shrink.
func TestValidateQuotaSize(t *testing.T) {
	long := quotaOf(0)
	long.Spec.Quota.Hard["count/"+corev1.ResourceName(strings.Repeat("x", 70000))] = resource.MustParse("1")
	scoped := quotaOf(0)
	for range 10000 {
		scoped.Spec.Quota.Scopes = append(scoped.Spec.Quota.Scopes, "BestEffort")
	}
	huge := quotaOf(0)
	huge.Spec.Quota.Hard["configmaps"] = resource.MustParse("1e1000000")
	for _, test := range []struct {
		name            string
		present, wanted *quotav1alpha2.ResourceQuota
		field           string
	}{
		{"an amount nobody can work with", nil, huge, "spec.quota.hard[configmaps]"},
		{"one that is there", huge, huge, "spec.quota.hard[configmaps]"},
		{"100 names", nil, quotaOf(100), ""},
		{"101 names", nil, quotaOf(101), "spec.quota.hard"},
		{"8000 names", nil, quotaOf(8000), "spec.quota.hard"},
		{"more names by an update", quotaOf(1), quotaOf(101), "spec.quota.hard"},
		{"8000 that are there", quotaOf(8000), quotaOf(8000), ""},
		{"fewer of them", quotaOf(8000), quotaOf(4000), ""},
		{"more of them", quotaOf(8000), quotaOf(8001), "spec.quota.hard"},
		{"a long name", nil, long, "spec.quota"},
		{"many scopes", nil, scoped, "spec.quota"},
		{"many scopes that are there", scoped, scoped, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := ValidateQuotaSize(test.present, test.wanted)
			if (err == nil) != (test.field == "") || err != nil && (status.Of(err).Code != 422 || status.Of(err).Details.Causes[0].Field != test.field) {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestDistributeCost: distributing a quota that is larger than may be written today takes
// a short time and ends in a status that fits into an object, and distributing it again
// writes nothing.
func TestDistributeCost(t *testing.T) {
	const namespaces = 17
	quota := quotaOf(2000)
	objects := []client.Object{quota}
	for n := range namespaces {
		name := fmt.Sprintf("p%d", n)
		part := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: partName("wq"), Labels: map[string]string{LabelQuota: "wq"}}}
		part.Spec.Hard, part.Status.Hard, part.Status.Used = quota.Spec.Quota.Hard, quota.Spec.Quota.Hard, make(corev1.ResourceList)
		for key := range quota.Spec.Quota.Hard {
			part.Status.Used[key] = resource.MustParse("0")
		}
		objects = append(objects, &corev1.Namespace{ObjectMeta: meta("", name, "w")}, part)
	}
	writes := 0
	c := interceptor.NewClient(cluster(t, objects...), interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.CreateOption) error {
			writes++
			return c.Create(ctx, o, options...)
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.UpdateOption) error {
			writes++
			return c.Update(ctx, o, options...)
		},
		SubResourceUpdate: func(ctx context.Context, c client.Client, name string, o client.Object, options ...client.SubResourceUpdateOption) error {
			writes++
			return c.SubResource(name).Update(ctx, o, options...)
		},
	})
	began := time.Now()
	for n := range 2 {
		writes = 0
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(quota), quota); err != nil {
			t.Fatal(err)
		}
		if err := (&Quotas{Client: c}).Distribute(t.Context(), quota); err != nil {
			t.Fatal(err)
		}
		if n == 1 && writes != 0 {
			t.Errorf("%d writes the second time", writes)
		}
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
	if len(quota.Status.Total.Used) != 2000 || len(quota.Status.Namespaces) != 0 {
		t.Errorf("the status has %d names and %d namespaces", len(quota.Status.Total.Used), len(quota.Status.Namespaces))
	}
}

// TestDistributeHugeAmounts: one amount with a large exponent, in a quota or in what a project
// uses, kept a worker of the leader busy for ever.
func TestDistributeHugeAmounts(t *testing.T) {
	huge, ten := resource.MustParse("1e1000000"), resource.MustParse("10")
	for _, test := range []struct {
		name             string
		hard, part, used resource.Quantity
		want             string // of the part
	}{
		{"a quota", huge, ten, ten, "10"},
		{"the part of a project", ten, huge, resource.MustParse("1"), "10"},
		{"what a project uses", ten, ten, huge, "10"},
	} {
		t.Run(test.name, func(t *testing.T) {
			quota := quotaOf(0)
			quota.Spec.Quota.Hard["pods"] = test.hard
			part := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: "p", Name: partName(quota.Name), Labels: map[string]string{LabelQuota: quota.Name}}}
			part.Spec.Hard = corev1.ResourceList{"pods": test.part}
			part.Status.Hard, part.Status.Used = part.Spec.Hard, corev1.ResourceList{"pods": test.used}
			c := cluster(t, quota, part, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "p", Labels: of("w")}})
			began := time.Now()
			if err := (&Quotas{Client: c}).Distribute(t.Context(), quota); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it took %s", took)
			}
			if err := c.Get(t.Context(), client.ObjectKeyFromObject(part), part); err != nil {
				t.Fatal(err)
			}
			if got := part.Spec.Hard["pods"]; got.String() != test.want {
				t.Errorf("the part is %s", got.String())
			}
		})
	}
}
