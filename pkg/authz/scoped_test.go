package authz

import (
	"context"
	"errors"
	"testing"

	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// decides returns what an authorizer says of a request of a user.
func decides(t *testing.T, a authorizer.UnconditionalAuthorizer, request authorizer.AttributesRecord, who user.Info) authorizer.Decision {
	t.Helper()
	request.User = who
	decision, _, err := a.Authorize(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	return decision
}

func TestScoped(t *testing.T) {
	const open, closed = authorizer.DecisionNoOpinion, authorizer.DecisionDeny
	for _, test := range []struct {
		name    string
		scopes  []string
		request authorizer.AttributesRecord
		want    authorizer.Decision
	}{
		{"all", []string{"all"}, to(`delete apps deployments a`), open},
		{"all, another path", []string{"all"}, path("POST", "/some/path"), open},
		{"read gets", []string{"read"}, to(`get "" pods a`), open},
		{"read watches", []string{"read"}, to(`watch "" pods`), open},
		{"read does not write", []string{"read"}, to(`patch "" pods a`), closed},
		{"read does not run anything", []string{"read"}, to(`create "" pods/exec a`), closed},
		{"read reads a path", []string{"read"}, path("GET", "/metrics"), open},
		{"read does not post to one", []string{"read"}, path("POST", "/metrics"), closed},
		{"one verb of one resource", []string{"apps/deployments:patch"}, to(`patch apps deployments a`), open},
		{"not another verb", []string{"apps/deployments:patch"}, to(`get apps deployments a`), closed},
		{"not another resource", []string{"apps/deployments:patch"}, to(`patch apps statefulsets a`), closed},
		{"not another group", []string{"apps/deployments:patch"}, to(`patch extensions deployments a`), closed},
		{"not a subresource", []string{"apps/deployments:patch"}, to(`patch apps deployments/scale a`), closed},
		{"a subresource", []string{"apps/deployments/scale:patch"}, to(`patch apps deployments/scale a`), open},
		{"core", []string{"core/pods:get,list"}, to(`list "" pods`), open},
		{"one of several", []string{"core/pods:get", "core/pods/log:get"}, to(`get "" pods/log a`), open},
		{"discovery", []string{"core/pods:get"}, path("GET", "/apis/apps"), open},
		{"not another path", []string{"core/pods:get"}, path("GET", "/metrics"), closed},
		{"nothing", []string{}, to(`get "" pods a`), closed},
		{"what is no scope", []string{"everything", "", "*", "core/pods"}, to(`get "" pods a`), closed},
		{"no further token", []string{"all"}, to(`create iam.kubesphere.io users/tokens u`), closed},
		{"no password", []string{"all"}, to(`update iam.kubesphere.io users/password u`), closed},
		{"no end of sessions", []string{"all"}, to(`delete iam.kubesphere.io users/sessions u`), closed},
		{"no kubeconfig, which has a token", []string{"all"}, to(`get resources.kubesphere.io users/kubeconfig u`), closed},
		{"no kubectl, which has one", []string{"all"}, to(`get resources.kubesphere.io users/kubectl u`), closed},
		{"nor its terminal", []string{"all"}, to(`get terminal.kubesphere.io users/kubectl u`), closed},
		{"no token as an object", []string{"all"}, to(`create iam.kubesphere.io personalaccesstokens`), closed},
		{"no session as an object", []string{"all"}, to(`patch iam.kubesphere.io sessions s`), closed},
		{"no device as an object, which gets one", []string{"all"}, to(`update iam.kubesphere.io deviceauthorizations d`), closed},
		{"no consent as an object", []string{"all"}, to(`create iam.kubesphere.io consents`), closed},
		{"no user, who has a password", []string{"all"}, to(`create iam.kubesphere.io users`), closed},
		{"but a user can be changed", []string{"all"}, to(`update iam.kubesphere.io users a`), open},
		{"no token of a service account", []string{"all"}, to(`create "" serviceaccounts/token a`), closed},
		{"not even by its name", []string{"core/serviceaccounts/token:create"}, to(`create "" serviceaccounts/token a`), closed},
		{"no certificate", []string{"all"}, to(`create certificates.k8s.io certificatesigningrequests`), closed},
		{"no approval of one", []string{"all"}, to(`update certificates.k8s.io certificatesigningrequests/approval a`), closed},
		{"certificates can be listed", []string{"read"}, to(`list certificates.k8s.io certificatesigningrequests`), open},
		{"a service account", []string{"all"}, to(`create "" serviceaccounts`), open},
		{"its tokens can be listed", []string{"all"}, to(`get iam.kubesphere.io users/tokens u`), open},
	} {
		t.Run(test.name, func(t *testing.T) {
			who := &user.DefaultInfo{Name: "u", Extra: map[string][]string{ExtraScopes: test.scopes}}
			if got := decides(t, Scoped{}, test.request, who); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
			if got := decides(t, Scoped{}, test.request, &user.DefaultInfo{Name: "u"}); got != open {
				t.Errorf("without a personal access token: %v", got)
			}
		})
	}
}

func TestScopeRules(t *testing.T) {
	for scope, valid := range map[string]bool{
		"all": true, "read": true, "core/pods:get": true, "*/*:*": true, "apps/*:get,list,watch": true, "apps/deployments/scale:patch": true,
		"": false, "write": false, "pods:get": false, "core/pods": false, "core/pods:": false, "core/:get": false, "/pods:get": false,
		"core/pods:get,": false, "core/pods: get": false, "core/pods/log/more:get": false, "CORE/pods:get": false, "core/pods:get\n": false,
	} {
		if _, err := ScopeRules(scope); (err == nil) != valid {
			t.Errorf("%q: %v", scope, err)
		}
	}
}

func FuzzScopeRules(f *testing.F) {
	f.Add("core/pods:get,list")
	f.Fuzz(func(t *testing.T, scope string) {
		rules, err := ScopeRules(scope)
		if (err == nil) != (len(rules) > 0) {
			t.Errorf("%q: %v, %v", scope, rules, err)
		}
	})
}

func TestFirstChange(t *testing.T) {
	const open, closed = authorizer.DecisionNoOpinion, authorizer.DecisionDeny
	problem := error(nil)
	first := FirstChange{Waits: func(_ context.Context, name string) (bool, error) { return name == "new", problem }}
	own := func(verb, sub, name string) authorizer.AttributesRecord {
		return authorizer.AttributesRecord{ResourceRequest: true, Verb: verb, APIGroup: groupIAM, Resource: "users", Subresource: sub, Name: name, Path: "/kapis/iam.kubesphere.io/v1alpha2/users/" + name}
	}
	patch := own("patch", "", "new")
	patch.Path = "/apis/iam.kubesphere.io/v1alpha2/users/new"
	direct := own("update", "password", "new")
	direct.Path = "/apis/iam.kubesphere.io/v1alpha2/users/new/password"
	for _, test := range []struct {
		name, who string
		request   authorizer.AttributesRecord
		want      authorizer.Decision
	}{
		{"the own account", "new", own("get", "", "new"), open},
		{"the own roles, for the page around it", "new", own("get", "globalroles", "new"), open},
		{"the own password", "new", own("update", "password", "new"), open},
		{"the way of the console", "new", patch, open},
		{"Kubernetes' API", "new", direct, closed},
		{"somebody else's account", "new", own("get", "", "old"), closed},
		{"a token", "new", own("create", "tokens", "new"), closed},
		{"anything else", "new", to(`list "" pods`), closed},
		{"a path", "new", path("GET", "/metrics"), closed},
		{"who did so", "old", to(`list "" pods`), open},
		{"nobody", user.Anonymous, to(`list "" pods`), open},
	} {
		if got := decides(t, first, test.request, &user.DefaultInfo{Name: test.who}); got != test.want {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
	problem = errors.New("away")
	request := to(`list "" pods`)
	request.User = &user.DefaultInfo{Name: "old"}
	if _, _, err := first.Authorize(t.Context(), request); !errors.Is(err, problem) {
		t.Errorf("when it cannot be known: %v", err)
	}
}
