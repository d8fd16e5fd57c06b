package oauth

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
)

// TestClaimsUsersChoose: a user who may create workspaces had a token with the group of a
// company, and any user one with the address of somebody else, without a word that nobody had
// verified it.
func TestClaimsUsersChoose(t *testing.T) {
	w := newWorld(t)
	if err := w.cluster.Create(t.Context(), &iamv1alpha2.Group{ObjectMeta: metav1.ObjectMeta{Name: "argocd-admins", Labels: map[string]string{iamv1alpha2.LabelWorkspace: "demo"}}}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, email, verified, want string
	}{
		{"no address", "", "", `{"sub":"bob","groups":["team","workspace:demo:argocd-admins"]}`},
		{"an address of the user", "ceo@corp.example", "", `{"sub":"bob","email":"ceo@corp.example","email_verified":false,"groups":["team","workspace:demo:argocd-admins"]}`},
		{"a verified address", "bob@CORP.example", "bob@corp.example", `{"sub":"bob","email":"bob@CORP.example","email_verified":true,"groups":["team","workspace:demo:argocd-admins"]}`},
		{"another one that was verified", "ceo@corp.example", "bob@corp.example", `{"sub":"bob","email":"ceo@corp.example","email_verified":false,"groups":["team","workspace:demo:argocd-admins"]}`},
	} {
		user, err := w.Accounts.Get(t.Context(), "bob")
		if err != nil {
			t.Fatal(err)
		}
		user.Spec.Email, user.Spec.Groups = test.email, []string{"team", "argocd-admins"}
		user.Annotations = map[string]string{iamv1alpha2.AnnotationVerifiedEmail: test.verified}
		if err := w.cluster.Update(t.Context(), user); err != nil {
			t.Fatal(err)
		}
		got := w.tokens(t, "scope", "openid email groups")
		if r := w.newBrowser(t).get(t, "/oauth/userinfo", bearer(got["access_token"].(string))); string(r.body) != test.want+"\n" && string(r.body) != test.want {
			t.Errorf("%s: userinfo says %s", test.name, r.body)
		}
		claims := claimsOf(t, got["id_token"].(string))
		if verified, present := claims["email_verified"].(bool); present != (test.email != "") || verified != (test.verified != "" && test.name == "a verified address") {
			t.Errorf("%s: the ID token says %v", test.name, claims)
		}
		if groups, _ := claims["groups"].([]any); len(groups) != 2 || groups[1] != "workspace:demo:argocd-admins" {
			t.Errorf("%s: the ID token says %v", test.name, claims)
		}
	}
}
