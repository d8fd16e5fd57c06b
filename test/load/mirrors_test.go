//go:build load

package load

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	tenantv1alpha1 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha1"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// projectsOf is how many projects each workspace has, the first one 1,000.
const (
	projectsOf      = 5
	projectsOfFirst = 1000
)

// TestMirrorsOfManyProjects: a server that finds many workspaces writes what stands for
// their roles at Kubernetes within a minute, and a change of a role within five seconds. A
// server that starts again writes nothing. LOAD_WORKSPACES is how many there are.
func TestMirrorsOfManyProjects(t *testing.T) {
	workspaces := 200
	if text := os.Getenv("LOAD_WORKSPACES"); text != "" {
		var err error
		if workspaces, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	account := filepath.Join(t.TempDir(), "account")
	if output, err := exec.CommandContext(t.Context(), "../../hack/account/kubeconfig.sh", account).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	c, err := kube.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	startWith(t, account).stop() // which installs the definitions
	began := time.Now()
	projects := populate(t, c, workspaces)
	t.Logf("%d workspaces with %d projects are made in %s", workspaces, projects, time.Since(began).Round(time.Second))

	began = time.Now()
	server := startWith(t, account)
	ready := time.Since(began)
	mirrors := listMirrors(t, c)
	t.Logf("%d bindings stand for their roles after %s, with the start; %d MiB resident", len(mirrors), ready.Round(10*time.Millisecond), server.memory(t)>>20)
	if len(mirrors) != 2*projects {
		t.Errorf("%d bindings, want %d", len(mirrors), 2*projects)
	}
	if ready > time.Minute {
		t.Errorf("it took %s", ready)
	}

	// A role of the workspace with the most projects.
	role := &iamv1alpha2.WorkspaceRole{}
	if err := c.Get(t.Context(), client.ObjectKey{Name: "load-0-viewer"}, role); err != nil {
		t.Fatal(err)
	}
	role.Rules = append(role.Rules, rbacv1.PolicyRule{APIGroups: []string{"batch"}, Resources: []string{"jobs"}, Verbs: []string{"create"}})
	began = time.Now()
	if err := c.Update(t.Context(), role); err != nil {
		t.Fatal(err)
	}
	wait.For(t, "the role to be changed in all projects", func() error {
		changed := 0
		for name := range listMirrors(t, c) {
			if mirrors[name] == "" {
				changed++
			}
		}
		if changed < projectsOfFirst {
			return fmt.Errorf("it is in %d", changed)
		}
		return nil
	})
	took := time.Since(began)
	t.Logf("a role is changed in %d projects in %s", projectsOfFirst, took.Round(10*time.Millisecond))
	if took > 5*time.Second {
		t.Errorf("it took %s", took)
	}

	wait.For(t, "the former bindings to be gone", func() error {
		if n := len(listMirrors(t, c)); n != 2*projects {
			return fmt.Errorf("there are %d", n)
		}
		return nil
	})
	server.stop()
	began = time.Now()
	startWith(t, account)
	t.Logf("a start that finds them takes %s", time.Since(began).Round(10*time.Millisecond))
	before := listMirrors(t, c)
	time.Sleep(10 * time.Second) // until it leads
	for name, version := range listMirrors(t, c) {
		if before[name] != version {
			t.Errorf("%s was written again", name)
		}
	}
}

// populate makes workspaces with two roles that somebody has, and their projects, and
// returns how many.
func populate(t *testing.T, c client.Client, workspaces int) (projects int) {
	t.Helper()
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(32)
	create := func(object client.Object) {
		group.Go(func() error { return client.IgnoreAlreadyExists(c.Create(ctx, object)) })
	}
	every := []string{"*"}
	for n := range workspaces {
		name := fmt.Sprintf("load-%d", n)
		labels := map[string]string{"kubesphere.io/workspace": name}
		create(&tenantv1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: name}})
		for role, rules := range map[string][]rbacv1.PolicyRule{
			name + "-admin":  {{APIGroups: every, Resources: every, Verbs: every}},
			name + "-viewer": {{APIGroups: every, Resources: every, Verbs: []string{"get", "list", "watch"}}},
		} {
			create(&iamv1alpha2.WorkspaceRole{ObjectMeta: metav1.ObjectMeta{Name: role, Labels: labels}, Rules: rules})
			create(&iamv1alpha2.WorkspaceRoleBinding{
				ObjectMeta: metav1.ObjectMeta{Name: role, Labels: labels}, Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name + "-jane"}},
				RoleRef: rbacv1.RoleRef{APIGroup: "iam.kubesphere.io", Kind: "WorkspaceRole", Name: role},
			})
		}
		many := projectsOf
		if n == 0 {
			many = projectsOfFirst
		}
		for p := range many {
			create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-%d", name, p), Labels: labels}})
		}
		projects += many
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	return projects
}

// listMirrors returns the versions of the bindings in namespaces that stand for roles.
func listMirrors(t *testing.T, c client.Client) map[string]string {
	t.Helper()
	bindings := &metav1.PartialObjectMetadataList{}
	bindings.SetGroupVersionKind(rbacv1.SchemeGroupVersion.WithKind("RoleBindingList"))
	if err := c.List(context.WithoutCancel(t.Context()), bindings, client.MatchingLabels{"app.kubernetes.io/managed-by": "ks-apiserver"}); err != nil {
		t.Fatal(err)
	}
	mirrors := make(map[string]string)
	for n := range bindings.Items {
		if one := &bindings.Items[n]; strings.HasPrefix(one.Name, "kubesphere:") {
			mirrors[one.Namespace+"/"+one.Name] = one.ResourceVersion
		}
	}
	return mirrors
}
