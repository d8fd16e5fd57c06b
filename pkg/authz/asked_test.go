package authz

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
)

// asking allows everything but what is denied, and notes what it is asked.
type asking struct {
	denied string
	asked  []string
}

func (a *asking) Authorize(_ context.Context, attributes authorizer.Attributes) (authorizer.Decision, string, error) {
	what := strings.Join([]string{attributes.GetVerb(), attributes.GetAPIGroup(), attributes.GetNamespace(), attributes.GetResource(), attributes.GetSubresource(), attributes.GetName()}, "|")
	a.asked = append(a.asked, what)
	if scope := scopeOf(attributes); scope.Cluster != "" || scope.Namespace != attributes.GetNamespace() || what == a.denied {
		return authorizer.DecisionNoOpinion, "", nil
	}
	return authorizer.DecisionAllow, "", nil
}

// Each part of whom somebody asks to act as takes the right to impersonate it.
func TestAsked(t *testing.T) {
	boss := &user.DefaultInfo{Name: "boss", Extra: map[string][]string{ExtraScopes: {"read"}}}
	for _, test := range []struct {
		name   string
		header http.Header
		asked  string // the rights
		groups string // and what follows
	}{
		{"nobody", http.Header{"Accept": {"a"}}, "", ""},
		{"a user", http.Header{"Impersonate-User": {"jane"}}, "impersonate|||users||jane", "system:authenticated"},
		{"nobody in particular", http.Header{"Impersonate-User": {user.Anonymous}}, "impersonate|||users||system:anonymous", "system:unauthenticated"},
		{"groups", http.Header{"Impersonate-User": {"jane"}, "Impersonate-Group": {"a", "b"}}, "impersonate|||users||jane impersonate|||groups||a impersonate|||groups||b", "a b system:authenticated"},
		{"a service account", http.Header{"Impersonate-User": {"system:serviceaccount:n:s"}}, "impersonate||n|serviceaccounts||s", "system:serviceaccounts system:serviceaccounts:n system:authenticated"},
		{"a UID", http.Header{"Impersonate-User": {"jane"}, "Impersonate-Uid": {"1"}}, "impersonate|||users||jane impersonate|authentication.k8s.io||uids||1", "system:authenticated"},
		{"extras", http.Header{"Impersonate-User": {"jane"}, "Impersonate-Extra-Example.com%2fa": {"1", "2"}}, "impersonate|||users||jane impersonate|authentication.k8s.io||userextras|example.com/a|1 impersonate|authentication.k8s.io||userextras|example.com/a|2", "system:authenticated"},
	} {
		t.Run(test.name, func(t *testing.T) {
			asked, err := Asked(test.header)
			if err != nil {
				t.Fatal(err)
			}
			if asked == nil {
				if test.asked != "" {
					t.Error("it asks for nobody")
				}
				return
			}
			decide := &asking{}
			who, err := asked.By(t.Context(), decide, boss)
			if err != nil || strings.Join(decide.asked, " ") != test.asked {
				t.Fatalf("%v, asked %q", err, decide.asked)
			}
			another, ok := who.(*kube.Another)
			if !ok || another.By != boss || who.GetName() != test.header.Get("Impersonate-User") || strings.Join(who.GetGroups(), " ") != test.groups {
				t.Errorf("%+v", who)
			}
			if !slices.Equal(who.GetExtra()[ExtraScopes], []string{"read"}) {
				t.Error("the limits of the token are gone")
			}
			for _, part := range strings.Fields(test.asked) {
				if _, err := asked.By(t.Context(), &asking{denied: part}, boss); !apierrors.IsForbidden(err) {
					t.Errorf("without %s: %v", part, err)
				}
			}
		})
	}
	for name, header := range map[string]http.Header{
		"two users": {"Impersonate-User": {"a", "b"}}, "no user": {"Impersonate-Group": {"a"}}, "an empty user": {"Impersonate-User": {""}},
		"two UIDs": {"Impersonate-User": {"a"}, "Impersonate-Uid": {"1", "2"}}, "a UID alone": {"Impersonate-Uid": {"1"}}, "something else": {"Impersonate-User": {"a"}, "Impersonate-Role": {"b"}},
	} {
		if _, err := Asked(header); !apierrors.IsBadRequest(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, header := range map[string]http.Header{
		"the group of this server": {"Impersonate-User": {"a"}, "Impersonate-Group": {"kubesphere:authorized"}},
		"what this server says":    {"Impersonate-User": {"a"}, "Impersonate-Extra-Ks-Apiserver.kubesphere.io%2Fscopes": {"all"}},
		"it in other letters":      {"Impersonate-User": {"a"}, "Impersonate-Extra-%4Bs-Apiserver.kubesphere.io%2Fimpersonator": {"b"}},
		"it in others":             {"Impersonate-User": {"a"}, "Impersonate-Extra-%6B%53-Apiserver.kubesphere.io%2Fimpersonator": {"b"}},
	} {
		asked, err := Asked(header)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := asked.By(t.Context(), &asking{}, boss); !apierrors.IsForbidden(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
