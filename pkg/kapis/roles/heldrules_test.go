package roles

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"runtime"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
)

// heldRights holds rules.
type heldRights struct {
	Rights
	held authz.HeldRules
}

func (h heldRights) Rules(context.Context, user.Info, authz.Scope) (*authz.HeldRules, error) {
	return &h.held, nil
}

// reviewers are the two reviews of rules, with their bodies and codes.
func reviewers(t *testing.T, held authz.HeldRules) map[string]func(http.ResponseWriter) int {
	t.Helper()
	h := &Handler{Rights: heldRights{held: held}, Authorizer: &authz.RBAC{All: true}}
	self := reviewsOf(t, h)
	asked := func(body string) *http.Request {
		r := httptest.NewRequest(http.MethodPost, "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", strings.NewReader(body))
		return r.WithContext(kuberequest.WithUser(r.Context(), &user.DefaultInfo{Name: `jane "resourceRules":[],"nonResourceRules":[]`}))
	}
	return map[string]func(http.ResponseWriter) int{
		"rulesreview": func(w http.ResponseWriter) int {
			if err := h.rulesReview(w, asked(`{"spec":{"workspace":"wx"}}`)); err != nil {
				t.Error(err)
			}
			return http.StatusOK
		},
		"selfsubjectrulesreviews": func(w http.ResponseWriter) int {
			self.ServeHTTP(w, asked(`{"kind":"SelfSubjectRulesReview","apiVersion":"authorization.k8s.io/v1","spec":{"namespace":"n"}}`))
			return http.StatusCreated
		},
	}
}

// largeRules are those of 69 roles of 57 KB.
func largeRules() authz.HeldRules {
	held := authz.HeldRules{Complete: true, Bytes: 69 * 57 << 10}
	for role := range 69 {
		names := make([]string, 57<<10/20)
		for n := range names {
			names[n] = fmt.Sprintf("name-%06d-%06d", role, n)
		}
		held.ByRole = append(held.ByRole, []rbacv1.PolicyRule{{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"pods"}, ResourceNames: names}})
	}
	return held
}

// TestRules: a review lists the rules a user has, however large they are.
func TestRules(t *testing.T) {
	pods := rbacv1.PolicyRule{Verbs: []string{"get", "list"}, APIGroups: []string{""}, Resources: []string{"pods"}}
	named := rbacv1.PolicyRule{Verbs: []string{"get"}, APIGroups: []string{"a", "b"}, Resources: []string{"x", "y"}, ResourceNames: []string{"n", `"<&>\u2028` + "\n\x00"}}
	paths := rbacv1.PolicyRule{Verbs: []string{"get"}, NonResourceURLs: []string{"/a", "/b/*"}}
	both := rbacv1.PolicyRule{Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}, NonResourceURLs: []string{"*"}}
	for _, test := range []struct {
		name string
		held authz.HeldRules
	}{
		{"none", authz.HeldRules{Complete: true}},
		{"a role without rules", authz.HeldRules{Complete: true, ByRole: [][]rbacv1.PolicyRule{{}}}},
		{"resources", authz.HeldRules{Complete: true, ByRole: [][]rbacv1.PolicyRule{{pods, named}}}},
		{"paths", authz.HeldRules{Complete: true, ByRole: [][]rbacv1.PolicyRule{{paths}, {paths}}}},
		{"both", authz.HeldRules{Complete: true, ByRole: [][]rbacv1.PolicyRule{{pods, paths}, {named, both}}}},
		{"more than are listed", authz.HeldRules{ByRole: [][]rbacv1.PolicyRule{{pods}}}},
		{"large roles", largeRules()},
	} {
		want := emptyRules(test.held.Complete)
		for rule := range test.held.All() {
			if len(rule.Resources) > 0 {
				want.ResourceRules = append(want.ResourceRules, authorizationv1.ResourceRule{Verbs: rule.Verbs, APIGroups: rule.APIGroups, Resources: rule.Resources, ResourceNames: rule.ResourceNames})
			}
			if len(rule.NonResourceURLs) > 0 {
				want.NonResourceRules = append(want.NonResourceRules, authorizationv1.NonResourceRule{Verbs: rule.Verbs, NonResourceURLs: rule.NonResourceURLs})
			}
		}
		for name, review := range reviewers(t, test.held) {
			t.Run(test.name+"/"+name, func(t *testing.T) {
				w := httptest.NewRecorder()
				code := review(w)
				var got struct {
					Kind   string
					Status authorizationv1.SubjectRulesReviewStatus
				}
				if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != code || got.Kind == "" {
					t.Fatalf("%d %.500s: %v", w.Code, w.Body, err)
				}
				if !reflect.DeepEqual(got.Status, want) {
					t.Errorf("got %+v, want %+v", got.Status, want)
				}
			})
		}
	}
}

// stopped is a client that stops to read at the second part of an answer.
type stopped struct {
	*httptest.ResponseRecorder
	at func()
}

func (s *stopped) Write(data []byte) (int, error) {
	if len(data) > 64<<10 {
		return 0, fmt.Errorf("%d bytes are one part", len(data))
	}
	if s.at != nil {
		s.at()
	}
	return len(data), nil
}

// TestUnreadRules: a review that nobody reads is not in memory, and keeps nobody from others;
// 95 of them held 300 MB.
func TestUnreadRules(t *testing.T) {
	held := largeRules()
	for name, review := range reviewers(t, held) {
		t.Run(name, func(t *testing.T) {
			heap := func() int64 {
				var memory runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&memory)
				return int64(memory.HeapAlloc)
			}
			parts, before := 0, heap()
			review(&stopped{ResponseRecorder: httptest.NewRecorder(), at: func() {
				if parts++; parts != 10 {
					return
				}
				if grown := heap() - before; grown > 3<<19 {
					t.Errorf("an answer holds %d bytes", grown)
				}
				review(&stopped{ResponseRecorder: httptest.NewRecorder()}) // has a turn, which one that is not read has not
			}})
			if parts < 10 {
				t.Errorf("%d parts", parts)
			}
		})
	}
}
