//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	userinfo "k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// TestDecisionsEqualKubernetes: on the same roles our decision is that of
// kube-apiserver's SubjectAccessReview, for thousands of random requests (P36).
// Whoever finds a difference finds the seed in the log.
func TestDecisionsEqualKubernetes(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano()) //nolint:gosec // any number
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	pick := func(values ...string) string { return values[random.IntN(len(values))] }
	some := func(values ...string) []string {
		picked := []string{pick(values...)}
		for range random.IntN(3) {
			picked = append(picked, pick(values...))
		}
		return picked
	}
	c := kubernetes(t, "")
	verbs := []string{"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"}
	groups := []string{"", "apps", "batch", "networking.k8s.io"}
	resources := []string{"pods", "pods/log", "pods/exec", "secrets", "deployments", "deployments/scale", "jobs", "ingresses", "nodes"}
	rules := func(urls bool) []rbacv1.PolicyRule {
		var all []rbacv1.PolicyRule
		for range 1 + random.IntN(3) {
			rule := rbacv1.PolicyRule{
				Verbs: some(append(verbs, "*")...), APIGroups: some(append(groups, "*")...), Resources: some(append(resources, "*", "*/scale", "*/log")...),
			}
			if random.IntN(3) == 0 {
				rule.ResourceNames = some("a", "b")
			}
			if urls && random.IntN(4) == 0 {
				rule = rbacv1.PolicyRule{Verbs: some("get", "post", "*"), NonResourceURLs: some("/a", "/a/*", "/b/c", "*")}
			}
			all = append(all, rule)
		}
		return all
	}
	const people, spaces = 12, 3
	user := func(n int) string { return fmt.Sprintf("sar-%d", n) }
	subjects := func() []rbacv1.Subject {
		var all []rbacv1.Subject
		for range 1 + random.IntN(2) {
			switch random.IntN(4) {
			case 0:
				all = append(all, rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: "Group", Name: pick("sar-g1", "sar-g2")})
			case 1:
				all = append(all, rbacv1.Subject{Kind: "ServiceAccount", Namespace: pick("sar-ns-0", "sar-ns-1"), Name: pick("s1", "s2")})
			default:
				all = append(all, subjectUser(user(random.IntN(people))))
			}
		}
		return all
	}
	for n := range spaces {
		namespace := fmt.Sprintf("sar-ns-%d", n)
		create(t, c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
		for k := range 6 {
			name := fmt.Sprintf("sar-%d", k)
			create(t, c, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Rules: rules(false)})
			ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name}
			if random.IntN(3) == 0 {
				ref.Kind = "ClusterRole" // of that name, too
			}
			create(t, c, &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, RoleRef: ref, Subjects: subjects()})
		}
	}
	for k := range 6 {
		name := fmt.Sprintf("sar-%d", k)
		create(t, c, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules(true)})
		if k < 3 {
			create(t, c, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name}, Subjects: subjects()})
		}
	}
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1 // thousands of questions
	if c, err = kube.NewClient(config); err != nil {
		t.Fatal(err)
	}
	rights := decisions(t, config)
	allowed := 0
	const requests = 3000
	for range requests {
		spec := authorizationv1.SubjectAccessReviewSpec{User: user(random.IntN(people))}
		if random.IntN(5) == 0 {
			spec.User = "system:serviceaccount:" + pick("sar-ns-0", "sar-ns-1") + ":" + pick("s1", "s2")
		}
		for _, group := range []string{"sar-g1", "sar-g2"} {
			if random.IntN(4) == 0 {
				spec.Groups = append(spec.Groups, group)
			}
		}
		if random.IntN(8) == 0 {
			spec.NonResourceAttributes = &authorizationv1.NonResourceAttributes{Verb: pick("get", "post"), Path: pick("/a", "/a/b", "/b/c", "/d")}
		} else {
			resource, subresource := pick("pods", "secrets", "deployments", "jobs", "ingresses", "nodes"), pick("", "", "", "log", "exec", "scale")
			spec.ResourceAttributes = &authorizationv1.ResourceAttributes{
				Namespace: pick("", "sar-ns-0", "sar-ns-1", "sar-ns-2"), Verb: pick(verbs...), Group: pick(groups...), Resource: resource, Subresource: subresource, Name: pick("", "a", "c"),
			}
		}
		review := &authorizationv1.SubjectAccessReview{Spec: spec}
		if err := c.Create(t.Context(), review); err != nil {
			t.Fatal(err)
		}
		got := rights(spec)
		if got != review.Status.Allowed {
			t.Errorf("%+v %+v: we say %v, Kubernetes %v (%s)", spec, spec.ResourceAttributes, got, review.Status.Allowed, review.Status.Reason)
		}
		if got {
			allowed++
		}
	}
	if allowed < requests/50 || allowed > requests*9/10 {
		t.Errorf("%d of %d requests are allowed: that tests little", allowed, requests)
	}
}

// decisions returns our decision about a review, by the roles of the cluster as
// this process reads them.
func decisions(t *testing.T, config *rest.Config) func(authorizationv1.SubjectAccessReviewSpec) bool {
	t.Helper()
	cache, err := objects.NewCache(objects.Options{Config: config, SyncTimeout: wait.Timeout})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		cache.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-stopped
	})
	rbac := &authz.RBAC{Source: &iam.Directory{Cache: cache, Catalog: objects.NewCatalog()}}
	return func(spec authorizationv1.SubjectAccessReviewSpec) bool {
		a := authorizer.AttributesRecord{User: &userinfo.DefaultInfo{Name: spec.User, Groups: spec.Groups}}
		if asked := spec.NonResourceAttributes; asked != nil {
			a.Verb, a.Path = asked.Verb, asked.Path
		} else {
			asked := spec.ResourceAttributes
			a.ResourceRequest, a.Verb, a.APIGroup, a.Resource, a.Subresource = true, asked.Verb, asked.Group, asked.Resource, asked.Subresource
			a.Namespace, a.Name = asked.Namespace, asked.Name
		}
		decision, _, err := rbac.Authorize(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		return decision == authorizer.DecisionAllow
	}
}
