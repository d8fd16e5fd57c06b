//go:build e2e

package e2e

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	quotav1alpha2 "github.com/super-kubenetes/ks-apiserver/api/quota/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// TestProtectedLimits: a limit that an administrator protects stays as it is for the
// administrators of the project and of the workspace it limits, at this server and at
// kube-apiserver, while they have limits of their own.
func TestProtectedLimits(t *testing.T) {
	t.Parallel()
	owner := newPerson(t, "bound-owner", "platform-self-provisioner")
	newSpace(t, "bound-ws", owner)
	owner.sends(t, 200, "POST", tenantPath+"/workspaces/bound-ws/namespaces", `{"metadata":{"name":"bound-p"}}`)
	root := shared.as(t, "admin", adminPassword)
	const (
		quotas    = "/api/v1/namespaces/bound-p/resourcequotas"
		limits    = "/api/v1/namespaces/bound-p/limitranges"
		ofSpace   = tenantPath + "/workspaces/bound-ws/resourcequotas"
		objects   = "/kapis/quota.kubesphere.io/v1alpha2/workspaces/bound-ws/resourcequotas"
		everyones = "/apis/quota.kubesphere.io/v1alpha2/resourcequotas"
		label     = `"quota.kubesphere.io/protected":"true"`
		unlabel   = `{"metadata":{"labels":{"quota.kubesphere.io/protected":null}}}`
		quota     = `{"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"%s","labels":{%s}},"spec":{"hard":{"count/configmaps":"%d"}}}`
		limit     = `{"apiVersion":"v1","kind":"LimitRange","metadata":{"name":"%s","labels":{%s}},"spec":{"limits":[{"type":"Container","max":{"cpu":"%d"}}]}}`
		space     = `{"apiVersion":"quota.kubesphere.io/v1alpha2","kind":"ResourceQuota","metadata":{"name":"%s","labels":{%s}},"spec":{"selector":{"kubesphere.io/workspace":"bound-ws"},"quota":{"hard":{"count/secrets":"%d"}}}}`
		own       = `"team":"a"`
		removal   = `[{"op":"remove","path":"/metadata/labels/quota.kubesphere.io~1protected"}]`
	)
	apply := media(serverSet)
	answers(t, "GET", quotas, owner.token, 200)

	// As the console of KubeSphere 3.x: limits of a project and of a workspace by their administrators.
	attempts(t, []attempt{
		{"an own quota", owner.token, "POST", quotas, fmt.Sprintf(quota, "own", own, 9), nil, 201},
		{"an own quota, changed", owner.token, "PUT", quotas + "/own", fmt.Sprintf(quota, "own", own, 8), nil, 200},
		{"an own limit", owner.token, "POST", limits, fmt.Sprintf(limit, "own", own, 9), nil, 201},
		{"an own limit, changed", owner.token, "PATCH", limits + "/own", `{"metadata":{"labels":{"team":"b"}}}`, media(merge), 200},
		{"an own quota of the workspace", owner.token, "POST", ofSpace, fmt.Sprintf(space, "bound-ws", own, 90), nil, 200},
		{"an own quota of the workspace, changed", owner.token, "PUT", ofSpace + "/bound-ws", fmt.Sprintf(space, "bound-ws", own, 80), nil, 200},
	})
	// An administrator makes limits that hold, and protects one there is.
	attempts(t, []attempt{
		{"a bound", root.token, "POST", quotas, fmt.Sprintf(quota, "bound", label, 5), nil, 201},
		{"a limit", root.token, "POST", limits, fmt.Sprintf(limit, "bound", label, 5), nil, 201},
		{"the quota of the workspace", root.token, "PATCH", everyones + "/bound-ws", `{"metadata":{"labels":{` + label + `}}}`, media(merge), 200},
		{"the quota of the workspace, changed as the console does", root.token, "PUT", ofSpace + "/bound-ws", fmt.Sprintf(space, "bound-ws", own, 70), nil, 200},
	})
	found := decode[quotav1alpha2.ResourceQuota](t, root.must(t, 200, "GET", ofSpace+"/bound-ws", nil))
	if found.Labels[quotav1alpha2.LabelProtected] != "true" {
		t.Errorf("the quota of the workspace is not protected after a change: %v", found.Labels)
	}
	var refused []attempt
	for path, body := range map[string]string{quotas: quota, limits: limit} {
		refused = append(refused,
			attempt{path + ": PUT", owner.token, "PUT", path + "/bound", fmt.Sprintf(body, "bound", label, 500), nil, 403},
			attempt{path + ": PUT without the label", owner.token, "PUT", path + "/bound", fmt.Sprintf(body, "bound", own, 500), nil, 403},
			attempt{path + ": PATCH", owner.token, "PATCH", path + "/bound", unlabel, media(merge), 403},
			attempt{path + ": PATCH of JSON", owner.token, "PATCH", path + "/bound", removal, media("application/json-patch+json"), 403},
			attempt{path + ": strategic PATCH", owner.token, "PATCH", path + "/bound", unlabel, media(strategic), 403},
			attempt{path + ": apply", owner.token, "PATCH", path + "/bound?fieldManager=a&force=true", fmt.Sprintf(body, "bound", label, 500), apply, 403},
			attempt{path + ": an owner", owner.token, "PATCH", path + "/bound", `{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"a","uid":"b"}]}}`, media(merge), 403},
			attempt{path + ": DELETE", owner.token, "DELETE", path + "/bound", "", nil, 403},
			attempt{path + ": a forged one", owner.token, "POST", path, fmt.Sprintf(body, "forged", label, 1), nil, 403},
			attempt{path + ": the own one, protected", owner.token, "PATCH", path + "/own", `{"metadata":{"labels":{` + label + `}}}`, media(merge), 403},
		)
	}
	attempts(t, append(refused, []attempt{
		{"the use of the quota", owner.token, "PATCH", quotas + "/bound/status", `{"status":{"used":{"count/configmaps":"0"}}}`, media(merge), 403},
		{"the quota of the workspace", owner.token, "PUT", ofSpace + "/bound-ws", fmt.Sprintf(space, "bound-ws", own, 500), nil, 403},
		{"the quota of the workspace, deleted", owner.token, "DELETE", ofSpace + "/bound-ws", "", nil, 403},
		{"its object", owner.token, "PATCH", objects + "/bound-ws", unlabel, media(merge), 403},
		{"its object, deleted", owner.token, "DELETE", objects + "/bound-ws", "", nil, 403},
		{"its object at Kubernetes' path", owner.token, "DELETE", everyones + "/bound-ws", "", nil, 403},
		{"a further protected one", owner.token, "POST", ofSpace, fmt.Sprintf(space, "bound-more", label, 1), nil, 403},
		{"a project without the quota of its workspace", owner.token, "DELETE", tenantPath + "/workspaces/bound-ws?propagationPolicy=Orphan", "", nil, 403},
		{"the template without its projects", owner.token, "DELETE", "/apis/tenant.kubesphere.io/v1alpha2/workspacetemplates/bound-ws?propagationPolicy=Orphan", "", nil, 403},
		// All of them are those that are not protected.
		{"all quotas of the project", owner.token, "DELETE", quotas, "", nil, 200},
		{"all limits of the project", owner.token, "DELETE", limits, "", nil, 200},
	}...))

	// A manager of all workspaces holds less than the right to the quota.
	c := kubernetes(t, "")
	create(t, c, &iamv1alpha2.GlobalRole{ObjectMeta: metav1.ObjectMeta{Name: "bound-managers"}, Rules: []rbacv1.PolicyRule{
		{Verbs: []string{"*"}, APIGroups: []string{"tenant.kubesphere.io", "quota.kubesphere.io"}, Resources: []string{"*"}},
	}})
	manager := newPerson(t, "bound-manager", "bound-managers")
	template := "/apis/tenant.kubesphere.io/v1alpha2/workspacetemplates/bound-ws"
	attempts(t, []attempt{
		{"a manager may delete the workspace", manager.token, "DELETE", template + "?dryRun=All", "", nil, 200},
		{"a manager changes its quota", manager.token, "PATCH", everyones + "/bound-ws", unlabel, media(merge), 403},
		{"a manager deletes all quotas", manager.token, "DELETE", everyones + "?labelSelector=quota.kubesphere.io%2Fprotected", "", nil, 200},
		{"a manager lets its projects go", manager.token, "DELETE", template + "?propagationPolicy=Orphan&dryRun=All", "", nil, 403},
		{"a manager lets its projects go by the body", manager.token, "DELETE", template + "?dryRun=All", `{"propagationPolicy":"Orphan","dryRun":["All"]}`, nil, 403},
		{"the administrator may", root.token, "DELETE", template + "?propagationPolicy=Orphan&dryRun=All", "", nil, 200},
	})

	// A service account of the project goes to kube-apiserver itself.
	create(t, c, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: "bound-p", Name: "everything"}, Rules: everything()})
	builder := newDirect(t, serviceAccountToken(t, "bound-p", "builder"))
	bindInNamespace(t, "bound-p", "builder", "everything")
	waitForPolicy(t, builder, "PATCH", quotas+"/bound?dryRun=All", merge, unlabel)
	// What counts quotas has the power to.
	create(t, c, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "bound-counts"}, Rules: []rbacv1.PolicyRule{{Verbs: []string{"patch"}, APIGroups: []string{""}, Resources: []string{"resourcequotas/status"}}}})
	counter := newDirect(t, serviceAccountToken(t, "bound-p", "counter"))
	bindInCluster(t, "bound-p", "counter", "bound-counts")
	const words = "it has the label quota.kubesphere.io/protected"
	var direct []directAttempt
	for path, body := range map[string]string{quotas: quota, limits: limit} {
		direct = append(direct,
			directAttempt{path + ": PUT", builder, "PUT", path + "/bound", "", fmt.Sprintf(body, "bound", own, 500), words, 0},
			directAttempt{path + ": PATCH", builder, "PATCH", path + "/bound", merge, unlabel, words, 0},
			directAttempt{path + ": apply", builder, "PATCH", path + "/bound?fieldManager=a&force=true", serverSet, fmt.Sprintf(body, "bound", label, 500), words, 0},
			directAttempt{path + ": DELETE", builder, "DELETE", path + "/bound", "", "", words, 0},
			directAttempt{path + ": DELETE of all", builder, "DELETE", path + "?labelSelector=quota.kubesphere.io%2Fprotected", "", "", words, 0},
			directAttempt{path + ": a forged one", builder, "POST", path, "", fmt.Sprintf(body, "forged", label, 1), words, 0},
			directAttempt{path + ": an own one", builder, "POST", path, "", fmt.Sprintf(body, "mine", own, 9), "", 201},
			directAttempt{path + ": an own one, changed", builder, "PATCH", path + "/mine", merge, `{"metadata":{"labels":{"team":"c"}}}`, "", 200},
			directAttempt{path + ": an own one, deleted", builder, "DELETE", path + "/mine", "", "", "", 200},
		)
	}
	direct = append(direct, directAttempt{"the use of the quota", counter, "PATCH", quotas + "/bound/status", merge, `{"status":{"used":{"count/configmaps":"0"}}}`, words, 0})
	directAttempts(t, direct)

	// What holds is counted.
	wait.For(t, "the quota to be counted", func() error {
		bound := &corev1.ResourceQuota{}
		if err := c.Get(t.Context(), client.ObjectKey{Namespace: "bound-p", Name: "bound"}, bound); err != nil {
			return err
		}
		if used, hard := bound.Status.Used["count/configmaps"], bound.Spec.Hard["count/configmaps"]; used.IsZero() || hard.Value() != 5 {
			return fmt.Errorf("%+v", bound)
		}
		return nil
	})
	attempts(t, []attempt{
		{"the administrator changes the quota", root.token, "PATCH", quotas + "/bound", `{"spec":{"hard":{"count/configmaps":"6"}}}`, media(merge), 200},
		{"the administrator takes the label away", root.token, "PATCH", quotas + "/bound", unlabel, media(merge), 200},
		{"the quota is the project's", owner.token, "DELETE", quotas + "/bound", "", nil, 200},
		{"the administrator deletes the limit", root.token, "DELETE", limits + "/bound", "", nil, 200},
		{"the administrator deletes the quota of the workspace", root.token, "DELETE", ofSpace + "/bound-ws", "", nil, 200},
		{"the workspace is bound no more", owner.token, "DELETE", tenantPath + "/workspaces/bound-ws", "", nil, 200},
	})
}

// TestProtectedQuotaOfLeavingProjects: a project that was deleted or moved to another
// workspace took what it used with it, so that a protected quota bounded nothing.
func TestProtectedQuotaOfLeavingProjects(t *testing.T) {
	t.Parallel()
	owner := newPerson(t, "leave-owner", "platform-self-provisioner")
	newSpace(t, "leave-ws", owner)
	newSpace(t, "leave-ws9", owner)
	root, c := shared.as(t, "admin", adminPassword), kubernetes(t, "")
	const projects = tenantPath + "/workspaces/leave-ws/namespaces"
	root.must(t, 200, "POST", tenantPath+"/workspaces/leave-ws/resourcequotas", fields{
		"metadata": fields{"name": "leave-ws", "labels": fields{"quota.kubesphere.io/protected": "true"}},
		"spec":     fields{"selector": fields{"kubesphere.io/workspace": "leave-ws"}, "quota": fields{"hard": fields{"count/secrets": "2"}}},
	})
	uses := func(want string) {
		t.Helper()
		wait.For(t, "the use of the workspace to be "+want, func() error {
			quota := &quotav1alpha2.ResourceQuota{}
			err := c.Get(t.Context(), clientKey("leave-ws"), quota)
			if used := quota.Status.Total.Used["count/secrets"]; err != nil || used.String() != want {
				return fmt.Errorf("it is %s, %v", used.String(), err)
			}
			return nil
		})
	}
	secret := func(project string) *corev1.Secret {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: project, Name: "kept", Finalizers: []string{"example.com/hold"}}}
	}
	owner.must(t, 200, "POST", projects, newNamespace("leave-p1"))
	owner.must(t, 200, "POST", projects, newNamespace("leave-p2"))
	uses("0")
	part := &corev1.ResourceQuota{}
	for _, name := range []string{"kept", "more"} {
		one := secret("leave-p1")
		one.Name = name
		wait.For(t, "the secret "+name, func() error { return c.Create(t.Context(), one) })
	}
	uses("2")
	owner.must(t, 403, "PUT", projects+"/leave-p1", fields{"metadata": fields{"name": "leave-p1", "labels": fields{"kubesphere.io/workspace": "leave-ws9"}}})
	owner.must(t, 200, "DELETE", projects+"/leave-p1", nil)
	wait.For(t, "Kubernetes to delete the part", func() error {
		if err := c.Get(t.Context(), client.ObjectKey{Namespace: "leave-p1", Name: "workspace-leave-ws"}, part); err != nil || part.DeletionTimestamp == nil {
			return fmt.Errorf("it does not: %+v, %w", part.ObjectMeta, err)
		}
		return nil
	})
	refuses := func() error {
		if err := c.Create(t.Context(), secret("leave-p2"), client.DryRunAll); !apierrors.IsForbidden(err) {
			return fmt.Errorf("a further secret: %v", err)
		}
		return nil
	}
	wait.For(t, "the quota to be used up", refuses)
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		uses("2")
		if err := refuses(); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"kept", "more"} {
		change(t, c, &corev1.Secret{}, client.ObjectKey{Namespace: "leave-p1", Name: name}, func(s *corev1.Secret) { s.Finalizers = nil })
	}
	wait.For(t, "the project to be gone", func() error {
		if err := c.Get(t.Context(), clientKey("leave-p1"), &corev1.Namespace{}); !apierrors.IsNotFound(err) {
			return fmt.Errorf("it is there: %v", err)
		}
		return nil
	})
	uses("0")
	wait.For(t, "room for another", func() error { return c.Create(t.Context(), secret("leave-p2"), client.DryRunAll) })
}
