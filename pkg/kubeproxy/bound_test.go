package kubeproxy

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// bindless are the rights of a user who gives nobody a role, and may revoke each.
type bindless struct{ nothing }

func (bindless) MayBind(context.Context, user.Info, authz.Scope, rbacv1.RoleRef) error {
	return status.Forbidden(rbacv1.Resource("rolebindings"), "b", "bound")
}

func (bindless) MayRevoke(context.Context, user.Info, authz.Scope, rbacv1.RoleRef) error { return nil }

const bindingPath = "/apis/rbac.authorization.k8s.io/v1/namespaces/a/rolebindings/b"

// store answers as Kubernetes about one binding, which another client changes right before
// the first write. It is not safe for more than one client.
type store struct {
	version              int
	subjects, finalizers string
	missing              bool
	change               func(*store)
	writes               []string
}

func (s *store) object() string {
	return fmt.Sprintf(`{"kind":"RoleBinding","apiVersion":"rbac.authorization.k8s.io/v1","metadata":{"name":"b","namespace":"a","uid":"u1","resourceVersion":"%d"%s},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"r"},"subjects":[%s]}`,
		s.version, s.finalizers, s.subjects)
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("Content-Type", "application/json")
	dry := strings.Contains(r.URL.RawQuery, "dryRun") || strings.Contains(string(body), "dryRun")
	if r.Method != http.MethodGet && !dry {
		if s.change != nil {
			change := s.change
			s.change = nil
			change(s)
		}
		s.writes = append(s.writes, r.Method+" "+string(body))
	}
	var sent struct {
		Metadata      struct{ ResourceVersion string }
		Preconditions metav1.Preconditions
		Subjects      []rbacv1.Subject
	}
	_ = json.Unmarshal(body, &sent)
	version := sent.Metadata.ResourceVersion
	if sent.Preconditions.ResourceVersion != nil {
		version = *sent.Preconditions.ResourceVersion
	}
	switch {
	case s.missing:
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"kind":"Status","status":"Failure","reason":"NotFound","code":404}`)
		return
	case version != "" && version != fmt.Sprint(s.version):
		w.WriteHeader(http.StatusConflict)
		_, _ = io.WriteString(w, `{"kind":"Status","status":"Failure","reason":"Conflict","code":409}`)
		return
	}
	after := *s
	if r.Method == http.MethodPut || r.Method == http.MethodPatch && strings.Contains(string(body), `"subjects"`) {
		text, _ := json.Marshal(sent.Subjects)
		after.subjects = strings.Trim(string(text), "[]")
		if len(sent.Subjects) == 0 {
			after.subjects = ""
		}
	}
	if !dry && r.Method != http.MethodGet {
		after.version++
		*s = after
	}
	_, _ = io.WriteString(w, after.object())
}

const (
	janeSubject = `{"kind":"User","apiGroup":"rbac.authorization.k8s.io","name":"jane"}`
	zoeSubject  = `{"kind":"User","apiGroup":"rbac.authorization.k8s.io","name":"zoe"}`
)

// TestPatchBringsNothingBack: a patch that changes nothing when it is looked at put a
// subject back that an administrator took out meanwhile.
func TestPatchBringsNothingBack(t *testing.T) {
	same := `{"kind":"RoleBinding","apiVersion":"rbac.authorization.k8s.io/v1","metadata":{"name":"b"},"subjects":[` + zoeSubject + `,` + janeSubject + `]}`
	for _, media := range []string{"application/merge-patch+json", "application/strategic-merge-patch+json", "application/apply-patch+yaml"} {
		for name, test := range map[string]struct {
			change func(*store)
			body   string
			code   int
			left   string
		}{
			"taken out":                 {func(s *store) { s.subjects = zoeSubject }, same, 403, zoeSubject},
			"another change":            {func(*store) {}, same, 200, zoeSubject + "," + janeSubject},
			"another change, a version": {func(*store) {}, strings.Replace(same, `"name":"b"`, `"name":"b","resourceVersion":"1"`, 1), 409, zoeSubject + "," + janeSubject},
		} {
			t.Run(media+", "+name, func(t *testing.T) {
				s := &store{version: 1, subjects: zoeSubject + "," + janeSubject, change: func(s *store) {
					s.version++
					test.change(s)
				}}
				f := newFront(t, s.ServeHTTP)
				f.proxy.rights = bindless{}
				if code, text := f.send(t, http.MethodPatch, bindingPath+"?fieldManager=m", media, test.body); code != test.code || s.subjects != test.left {
					t.Errorf("%d %s, left %s", code, text, s.subjects)
				}
			})
		}
	}
}

// TestDeletionOfTheOneLookedAt: a deletion is bound to the object the caller may delete, and
// one of a binding that stays, since it has a finalizer, ends what it gives.
func TestDeletionOfTheOneLookedAt(t *testing.T) {
	kept := `,"finalizers":["x.io/keep"]`
	bound := func(version int) string {
		return fmt.Sprintf(`"preconditions":{"uid":"u1","resourceVersion":"%d"}`, version)
	}
	const emptied = `PUT {"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBinding"`
	for _, test := range []struct {
		name   string
		store  store
		query  string
		body   string
		code   int
		writes []string // parts of each
	}{
		{"a binding", store{}, "", "", 200, []string{bound(1)}},
		{"options in the query", store{}, "?propagationPolicy=Foreground", "", 200, []string{`"propagationPolicy":"Foreground"`}},
		{"options in the body", store{}, "", `{"gracePeriodSeconds":0}`, 200, []string{`"gracePeriodSeconds":0,` + bound(1)}},
		{"a version of the client's", store{}, "", `{"preconditions":{"resourceVersion":"0"}}`, 409, []string{`"resourceVersion":"0"`}},
		{"one that is not there", store{missing: true}, "", "", 404, []string{`"preconditions":{"uid":""}`}},
		{"one that changes meanwhile", store{change: func(s *store) { s.version++ }}, "", "", 200, []string{bound(1), bound(2)}},
		{"one that gets a finalizer meanwhile", store{change: func(s *store) { s.version, s.finalizers = 2, kept }}, "", "", 200, []string{bound(1), emptied, bound(3)}},
		{"one with a finalizer", store{finalizers: kept}, "", "", 200, []string{emptied, bound(2)}},
		{"one with a finalizer that changes meanwhile", store{finalizers: kept, change: func(s *store) { s.version++ }}, "", "", 200, []string{emptied, emptied, bound(3)}},
		{"a trial for one with a finalizer", store{finalizers: kept}, "?dryRun=All", "", 200, nil},
		{"the version of one with a finalizer", store{finalizers: kept}, "", `{"preconditions":{"resourceVersion":"1"}}`, 200, []string{emptied, `"resourceVersion":"2"`}},
		{"a version of the client's for one with a finalizer", store{finalizers: kept}, "", `{"preconditions":{"resourceVersion":"0"}}`, 409, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := test.store
			s.version, s.subjects = 1, janeSubject
			f := newFront(t, s.ServeHTTP)
			f.proxy.rights = bindless{}
			code, text := f.send(t, http.MethodDelete, bindingPath+test.query, "", test.body)
			if code != test.code || len(s.writes) != len(test.writes) {
				t.Fatalf("%d %s, wrote %q", code, text, s.writes)
			}
			for n, part := range test.writes {
				if !strings.Contains(s.writes[n], part) {
					t.Errorf("wrote %s, want %s", s.writes[n], part)
				}
			}
			if len(test.writes) > 1 && s.finalizers != "" && s.subjects != "" {
				t.Errorf("it still names %s", s.subjects)
			}
		})
	}
}
