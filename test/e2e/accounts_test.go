//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

const (
	iamPath    = "/kapis/iam.kubesphere.io/v1alpha2"
	tenantPath = "/kapis/tenant.kubesphere.io/v1alpha2"
)

// person is somebody who is logged in.
type person struct {
	*instance
	name, token string
}

// as logs somebody in.
func (i *instance) as(t *testing.T, name, password string) person {
	t.Helper()
	r := i.token(t, passwordForm(name, password))
	if r.code != http.StatusOK {
		t.Fatalf("login of %s: %d %s", name, r.code, r.body)
	}
	return person{i, name, decode[tokens](t, r).AccessToken}
}

// call sends a body in JSON, none when it is nil.
func (p person) call(t *testing.T, method, path string, body any) reply {
	t.Helper()
	options := []option{bearer(p.token)}
	if body == nil {
		return p.do(t, method, path, nil, options...)
	}
	encoded, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	options = append(options, header("Content-Type", "application/json"))
	return p.do(t, method, path, bytes.NewReader(encoded), options...)
}

// must fails the test unless the answer has the status code. No answer ever
// shows the hash of a password.
func (p person) must(t *testing.T, code int, method, path string, body any) reply {
	t.Helper()
	r := p.call(t, method, path, body)
	if r.code != code {
		t.Fatalf("%s: %s %s: %d %.400s, want %d", p.name, method, path, r.code, r.body, code)
	}
	if strings.Contains(string(r.body), "$2a$") || strings.Contains(string(r.body), `"password"`) {
		t.Fatalf("%s %s shows a password: %s", method, path, r.body)
	}
	return r
}

type fields = map[string]any

// newUser is the body that creates a user.
func newUser(name, role string) fields {
	annotations := fields{}
	if role != "" {
		annotations["iam.kubesphere.io/globalrole"] = role
	}
	return fields{
		"apiVersion": "iam.kubesphere.io/v1alpha2", "kind": "User", "metadata": fields{"name": name, "annotations": annotations},
		"spec": fields{"email": name + "@example.com", "password": passwordOf(name)},
	}
}

func passwordOf(name string) string { return "Passw0rd-" + name }

func newWorkspace(name, manager string) fields {
	return fields{
		"apiVersion": "tenant.kubesphere.io/v1alpha2", "kind": "WorkspaceTemplate", "metadata": fields{"name": name},
		"spec": fields{"template": fields{"spec": fields{"manager": manager}}, "placement": fields{}},
	}
}

func newNamespace(name string) fields {
	return fields{"apiVersion": "v1", "kind": "Namespace", "metadata": fields{"name": name}}
}

func newDeployment(name string) fields {
	labels := fields{"app": name}
	return fields{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": fields{"name": name},
		"spec": fields{"replicas": 1, "selector": fields{"matchLabels": labels}, "template": fields{
			"metadata": fields{"labels": labels}, "spec": fields{"containers": []fields{{"name": "web", "image": "nginx"}}},
		}},
	}
}

func expectItems(r reply, number int) error {
	var got list
	if err := json.Unmarshal(r.body, &got); err != nil || r.code != 200 || got.TotalItems == nil || *got.TotalItems != number {
		return fmt.Errorf("want %d: %d %.300s", number, r.code, r.body)
	}
	return nil
}

func TestUsersAPI(t *testing.T) {
	t.Parallel()
	admin := shared.as(t, "admin", adminPassword)
	with := func(name string, change func(spec fields)) fields {
		body := newUser(name, "")
		change(body["spec"].(fields))
		return body
	}
	admin.must(t, 200, "POST", iamPath+"/users", newUser("ursula", "platform-regular"))
	for name, test := range map[string]struct {
		code int
		body any
	}{
		"again":               {409, newUser("ursula", "")},
		"the same address":    {409, with("ursula2", func(s fields) { s["email"] = "ursula@example.com" })},
		"no address":          {400, with("ursula2", func(s fields) { s["email"] = "notanemail" })},
		"short password":      {422, with("ursula2", func(s fields) { s["password"] = "short" })},
		"long password":       {422, with("ursula2", func(s fields) { s["password"] = strings.Repeat("é", 40) })}, // golden 213
		"bad name":            {422, newUser("Ursula_2", "")},
		"no name":             {422, newUser("", "")},
		"unknown role":        {404, newUser("ursula2", "nosuchrole")},
		"no JSON":             {400, "text"},
		"groups are not kept": {200, with("ursula2", func(s fields) { s["groups"] = []string{"system:masters"} })},
	} {
		t.Run(name, func(t *testing.T) {
			r := admin.must(t, test.code, "POST", iamPath+"/users", test.body)
			if strings.Contains(string(r.body), "system:masters") {
				t.Errorf("a membership was written: %s", r.body)
			}
		})
	}
	u := shared.as(t, "ursula", passwordOf("ursula"))
	shared.as(t, "ursula@example.com", passwordOf("ursula"))

	t.Run("own account", func(t *testing.T) {
		user := decode[iamv1alpha2.User](t, u.must(t, 200, "GET", iamPath+"/users/ursula", nil))
		if user.Annotations[iamv1alpha2.AnnotationGlobalRole] != "platform-regular" || user.Status.State != iamv1alpha2.UserActive {
			t.Errorf("got %+v", user)
		}
		stale := user.ResourceVersion
		user.Spec.Lang, user.Spec.Groups, user.Labels = "zh", []string{"system:masters"}, map[string]string{iamv1alpha2.LabelIdentityProvider: "mine"} // golden 245
		user.Status.State = iamv1alpha2.UserAuthLimitExceeded
		updated := decode[iamv1alpha2.User](t, u.must(t, 200, "PUT", iamPath+"/users/ursula", user))
		if updated.Spec.Lang != "zh" || len(updated.Spec.Groups) > 0 || len(updated.Labels) > 0 || updated.Status.State != iamv1alpha2.UserActive {
			t.Errorf("got %+v", updated)
		}
		user.ResourceVersion = stale
		u.must(t, 409, "PUT", iamPath+"/users/ursula", user)
		user.ResourceVersion = ""
		user.Annotations = map[string]string{iamv1alpha2.AnnotationGlobalRole: "platform-admin"}
		u.must(t, 403, "PUT", iamPath+"/users/ursula", user) // golden 246
		user.Name = "other"
		u.must(t, 400, "PUT", iamPath+"/users/ursula", user) // golden 248
	})
	t.Run("list", func(t *testing.T) {
		for path, number := range map[string]int{
			"/users?email=ursula@example.com": 1, "/users?email=ursula@example": 0, "/users?globalrole=platform-regular&name=ursula": 1, "/users?globalrole=platform-admin&name=ursula": 0,
			"/users?name=ursula&ingroup=none": 0, "/users?name=ursula&notingroup=none": 2, "/users?name=ursula&limit=1": 2,
		} {
			if err := expectItems(admin.must(t, 200, "GET", iamPath+path, nil), number); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
		admin.must(t, 404, "GET", iamPath+"/users/nobody-at-all", nil)
	})
	t.Run("login records", func(t *testing.T) {
		shared.token(t, passwordForm("ursula", "wrong-password"))
		wait.For(t, "both login records", func() error {
			r := u.call(t, "GET", iamPath+"/users/ursula/loginrecords", nil)
			if !strings.Contains(string(r.body), `"success":true`) || !strings.Contains(string(r.body), `"success":false`) {
				return fmt.Errorf("%d %s", r.code, r.body)
			}
			user := decode[iamv1alpha2.User](t, u.call(t, "GET", iamPath+"/users/ursula", nil))
			if user.Status.LastLoginTime == nil {
				return fmt.Errorf("no time of the last login")
			}
			return nil
		})
	})
	t.Run("edit after a login", func(t *testing.T) {
		user := decode[iamv1alpha2.User](t, admin.must(t, 200, "GET", iamPath+"/users/ursula", nil))
		c, stored := kubernetes(t, ""), &iamv1alpha2.User{}
		change(t, c, stored, clientKey("ursula"), func(u *iamv1alpha2.User) { u.Status.LastLoginTime.Time = u.Status.LastLoginTime.Add(time.Second) })
		user.Spec.Description = "edited"
		admin.must(t, 200, "PUT", iamPath+"/users/ursula", user)
		admin.must(t, 409, "PUT", iamPath+"/users/ursula", user)
	})
	t.Run("role", func(t *testing.T) {
		user := decode[iamv1alpha2.User](t, admin.must(t, 200, "GET", iamPath+"/users/ursula", nil))
		user.Annotations[iamv1alpha2.AnnotationGlobalRole] = "platform-self-provisioner"
		admin.must(t, 200, "PUT", iamPath+"/users/ursula", user)
		user = decode[iamv1alpha2.User](t, u.must(t, 200, "GET", iamPath+"/users/ursula", nil))
		if user.Annotations[iamv1alpha2.AnnotationGlobalRole] != "platform-self-provisioner" {
			t.Errorf("got %+v", user.Annotations)
		}
	})
	t.Run("kubeconfig", func(t *testing.T) {
		r := u.call(t, "GET", "/kapis/resources.kubesphere.io/v1alpha2/users/ursula/kubeconfig", nil)
		if r.code != 200 || !strings.Contains(string(r.body), "token: ") || !strings.Contains(string(r.body), "server: "+shared.secure+"\n") || !strings.HasPrefix(string(r.body), "# the address") || !strings.Contains(string(r.body), "server.publicURL") {
			t.Errorf("%d %s", r.code, r.body)
		}
		// The same authorizer decides what is done with it.
		content, err := kubectl(t, u.token, "", "get", "--raw", "/kapis/resources.kubesphere.io/v1alpha2/users/ursula/kubeconfig")
		if err != nil {
			t.Fatalf("%v: %s", err, content)
		}
		path := t.TempDir() + "/kubeconfig"
		writeFile(t, path, content)
		for command, refused := range map[string]bool{"get namespaces": false, "get nodes": true, "get secrets -n kube-system": true} {
			output, err := exec.CommandContext(t.Context(), "../../bin/kubectl", append([]string{"--kubeconfig", path, "--cache-dir", t.TempDir()}, strings.Fields(command)...)...).CombinedOutput()
			if (err != nil) != refused || refused && !strings.Contains(string(output), "Forbidden") {
				t.Errorf("%s: %v: %s", command, err, output)
			}
		}
		u.must(t, 403, "GET", "/kapis/resources.kubesphere.io/v1alpha2/users/admin/kubeconfig", nil)
		if r := admin.call(t, "GET", "/kapis/resources.kubesphere.io/v1alpha2/users/ursula/kubeconfig", nil); r.code != 200 || strings.Contains(string(r.body), "token: ") {
			t.Errorf("of another: %d %s", r.code, r.body)
		}
	})
	t.Run("password", func(t *testing.T) {
		path := iamPath + "/users/ursula/password"
		other := shared.as(t, "ursula", passwordOf("ursula"))
		u.must(t, 400, "PUT", path, fields{"currentPassword": "bad", "password": "Newpass-of-1984"})
		u.must(t, 400, "PUT", path, fields{"password": "Newpass-of-1984"})
		u.must(t, 422, "PUT", path, fields{"currentPassword": passwordOf("ursula"), "password": ""}) // golden 252
		u.must(t, 403, "PUT", iamPath+"/users/admin/password", fields{"password": "Newpass-of-1984"})
		u.must(t, 200, "PUT", path, fields{"currentPassword": passwordOf("ursula"), "password": "Newpass-of-1984"})
		u.must(t, 200, "GET", iamPath+"/users/ursula", nil)
		other.must(t, 401, "GET", iamPath+"/users/ursula", nil) // golden 260
		admin.must(t, 200, "PUT", path, fields{"password": passwordOf("ursula")})
		u.must(t, 401, "GET", iamPath+"/users/ursula", nil)
		admin.must(t, 404, "PUT", iamPath+"/users/nobody-at-all/password", fields{"password": "Newpass-of-1984"})
	})
	t.Run("disable and delete", func(t *testing.T) {
		u := shared.as(t, "ursula", passwordOf("ursula"))
		user := decode[iamv1alpha2.User](t, admin.must(t, 200, "GET", iamPath+"/users/ursula", nil))
		user.Status.State = iamv1alpha2.UserDisabled
		user = decode[iamv1alpha2.User](t, admin.must(t, 200, "PUT", iamPath+"/users/ursula", user))
		u.must(t, 401, "GET", iamPath+"/users/ursula", nil)
		if r := shared.token(t, passwordForm("ursula", passwordOf("ursula"))); r.code != 400 {
			t.Errorf("a disabled user logs in: %d", r.code)
		}
		user.Status.State = iamv1alpha2.UserActive
		admin.must(t, 200, "PUT", iamPath+"/users/ursula", user)
		u.must(t, 401, "GET", iamPath+"/users/ursula", nil) // the session stays over
		u = shared.as(t, "ursula", passwordOf("ursula"))
		admin.must(t, 200, "DELETE", iamPath+"/users/ursula", nil)
		admin.must(t, 404, "DELETE", iamPath+"/users/ursula", nil)
		admin.must(t, 404, "GET", iamPath+"/users/ursula", nil)
		u.must(t, 401, "GET", iamPath+"/users/ursula", nil)
		c := kubernetes(t, "")
		bindings := &iamv1alpha2.GlobalRoleBindingList{}
		if err := c.List(t.Context(), bindings, client.MatchingLabels{iamv1alpha2.LabelUserReference: "ursula"}); err != nil || len(bindings.Items) > 0 {
			t.Errorf("left: %v, %v", bindings.Items, err)
		}
		// The next of that name starts with nothing.
		admin.must(t, 200, "POST", iamPath+"/users", newUser("ursula", ""))
		if role := decode[iamv1alpha2.User](t, admin.must(t, 200, "GET", iamPath+"/users/ursula", nil)).Annotations[iamv1alpha2.AnnotationGlobalRole]; role != "" {
			t.Errorf("inherited %s", role)
		}
	})
}

// The console's page for the first password patches the user in Kubernetes'
// API, with the password in plain text.
func TestFirstLogin(t *testing.T) {
	t.Parallel()
	admin := shared.as(t, "admin", adminPassword)
	body := newUser("fresh", "platform-regular")
	body["metadata"].(fields)["annotations"].(fields)["iam.kubesphere.io/uninitialized"] = "true"
	admin.must(t, 200, "POST", iamPath+"/users", body)
	fresh := shared.as(t, "fresh", passwordOf("fresh"))
	const path = "/apis/iam.kubesphere.io/v1alpha2/users/"
	patch := func(name, operations string) reply {
		return fresh.do(t, "PATCH", path+name, strings.NewReader(operations), bearer(fresh.token), header("Content-Type", "application/json-patch+json"))
	}
	const operations = `[{"op":"replace","path":"/spec/password","value":"My-own-Passw0rd"},{"op":"remove","path":"/metadata/annotations/iam.kubesphere.io~1uninitialized"}]`
	// No other way leads past the checks.
	for name, code := range map[string]int{"admin": 403, "fresh/status": 403, "fresh?dryRun=All": 415, "fresh?dryRun=": 415} {
		if r := patch(name, operations); r.code != code {
			t.Errorf("%s: %d %s", name, r.code, r.body)
		}
	}
	for _, media := range []string{"application/apply-patch+yaml", "application/strategic-merge-patch+json", ""} {
		r := fresh.do(t, "PATCH", path+"fresh?fieldManager=me&force=true", strings.NewReader(`{"apiVersion":"iam.kubesphere.io/v1alpha2","kind":"User","spec":{"groups":["devs"]}}`), bearer(fresh.token), header("Content-Type", media))
		if r.code != 415 {
			t.Errorf("%s: %d %s", media, r.code, r.body)
		}
	}
	if r := patch("fresh", operations); r.code != 200 || strings.Contains(string(r.body), "password\":") || strings.Contains(string(r.body), "uninitialized") {
		t.Fatalf("%d %s", r.code, r.body)
	}
	fresh.must(t, 200, "GET", iamPath+"/users/fresh", nil) // still logged in
	shared.as(t, "fresh", "My-own-Passw0rd")
	for _, refused := range []string{operations, `[{"op":"replace","path":"/spec/password","value":"Another-Passw0rd"}]`} {
		if r := patch("fresh", refused); r.code < 400 {
			t.Errorf("%s: %d %s", refused, r.code, r.body)
		}
	}
	r := patch("fresh", `[{"op":"add","path":"/spec/groups","value":["system:masters"]},{"op":"add","path":"/spec/lang","value":"zh"},{"op":"copy","from":"/spec/password","path":"/spec/description"}]`)
	if user := decode[iamv1alpha2.User](t, r); r.code != 200 || len(user.Spec.Groups) > 0 || user.Spec.Lang != "zh" || strings.HasPrefix(user.Spec.Description, "$2") {
		t.Errorf("%d %s", r.code, r.body)
	}
}

// Who manages users does not become an administrator by it (CVE-2022-31247 is
// of this kind).
func TestUserManagersDoNotEscalate(t *testing.T) {
	t.Parallel()
	admin := shared.as(t, "admin", adminPassword)
	c := kubernetes(t, "")
	role := &iamv1alpha2.GlobalRole{Rules: []rbacv1.PolicyRule{{Verbs: []string{"*"}, APIGroups: []string{"iam.kubesphere.io"}, Resources: []string{"users", "users/password"}}}}
	role.Name = "managers-of-users"
	if err := c.Create(t.Context(), role); err != nil {
		t.Fatal(err)
	}
	admin.must(t, 200, "POST", iamPath+"/users", newUser("mia", "managers-of-users"))
	admin.must(t, 200, "POST", iamPath+"/users", newUser("plain", ""))
	mia := shared.as(t, "mia", passwordOf("mia"))
	mia.must(t, 403, "POST", iamPath+"/users", newUser("hers", "platform-admin"))
	mia.must(t, 403, "PUT", iamPath+"/users/admin/password", fields{"password": "Newpass-of-1984"})
	mia.must(t, 403, "DELETE", iamPath+"/users/admin", nil)
	user := decode[iamv1alpha2.User](t, mia.must(t, 200, "GET", iamPath+"/users/plain", nil))
	user.Annotations = map[string]string{iamv1alpha2.AnnotationGlobalRole: "platform-admin"}
	mia.must(t, 403, "PUT", iamPath+"/users/plain", user)
	user.Annotations[iamv1alpha2.AnnotationGlobalRole] = "managers-of-users"
	mia.must(t, 200, "PUT", iamPath+"/users/plain", user)
	mia.must(t, 200, "POST", iamPath+"/users", newUser("hers", "managers-of-users"))
	mia.must(t, 200, "PUT", iamPath+"/users/plain/password", fields{"password": "Newpass-of-1984"})
	shared.as(t, "plain", "Newpass-of-1984")
	// Of several roles, the first is not the one that counts.
	second := &iamv1alpha2.GlobalRoleBinding{Subjects: []rbacv1.Subject{subjectUser("plain")}}
	second.Name, second.RoleRef.Kind, second.RoleRef.Name = "plain-zz", "GlobalRole", "platform-admin"
	if err := c.Create(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	wait.For(t, "the user to have to choose a password", func() error {
		return expect(mia.call(t, "PUT", iamPath+"/users/plain/password", fields{"password": "Newpass-of-1985"}), 403)
	})
}
