package roles

import (
	"context"
	"io"
	"net/http"
	"slices"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// AccessReview asks whether somebody may do something, in the form of
// Kubernetes' SubjectAccessReview.
type AccessReview struct {
	metav1.TypeMeta `json:",inline"`
	Spec            AccessReviewSpec                          `json:"spec"`
	Status          authorizationv1.SubjectAccessReviewStatus `json:"status,omitempty" description:"The answer."`
}

// AccessReviewSpec is the question.
type AccessReviewSpec struct {
	// ResourceAttributes describe a request for a resource.
	ResourceAttributes *authorizationv1.ResourceAttributes `json:"resourceAttributes,omitempty" description:"What is asked of a resource."`
	// NonResourceAttributes describe a request for a path.
	NonResourceAttributes *authorizationv1.NonResourceAttributes `json:"nonResourceAttributes,omitempty" description:"What is asked of a path."`
	// Workspace is where the request takes place, unless in a namespace.
	Workspace string `json:"workspace,omitempty" description:"The workspace the request takes place in, unless in a namespace."`
	// User is who is asked about: the caller when empty.
	User string `json:"user,omitempty" description:"Who is asked about, the caller when empty. To ask about others needs the right to create subjectaccessreviews."`
}

// RulesReview asks what somebody may do in a place.
type RulesReview struct {
	metav1.TypeMeta `json:",inline"`
	Spec            RulesReviewSpec                          `json:"spec"`
	Status          authorizationv1.SubjectRulesReviewStatus `json:"status,omitempty" description:"The rules."`
}

// RulesReviewSpec is the question.
type RulesReviewSpec struct {
	// Namespace, Workspace and Cluster say where; the platform when none does.
	Namespace string `json:"namespace,omitempty" description:"In a namespace."`
	Workspace string `json:"workspace,omitempty" description:"In a workspace."`
	Cluster   bool   `json:"cluster,omitempty" description:"In the cluster. Without any place: on the platform."`
	// User is who is asked about: the caller when empty.
	User string `json:"user,omitempty" description:"Who is asked about, the caller when empty."`
}

func (h *Handler) accessReview(w http.ResponseWriter, r *http.Request) error {
	review := &AccessReview{}
	if err := readJSON(r, review); err != nil {
		return err
	}
	who, err := h.subject(r, review.Spec.User)
	if err != nil {
		return err
	}
	allowed, err := h.may(r.Context(), who, &review.Spec)
	if err != nil {
		return err
	}
	review.TypeMeta = metav1.TypeMeta{APIVersion: "iam.kubesphere.io/v1alpha2", Kind: "AccessReview"}
	review.Spec.User = who.GetName()
	review.Status = authorizationv1.SubjectAccessReviewStatus{Allowed: allowed}
	status.WriteJSON(w, http.StatusOK, review)
	return nil
}

// may is the decision about what a review describes.
func (h *Handler) may(ctx context.Context, who user.Info, spec *AccessReviewSpec) (bool, error) {
	a := &authz.Attributes{Scope: authz.Scope{Cluster: authz.ThisCluster}}
	a.User = who
	switch {
	case (spec.ResourceAttributes == nil) == (spec.NonResourceAttributes == nil):
		return false, status.BadRequest("exactly one of resourceAttributes and nonResourceAttributes is needed")
	case spec.NonResourceAttributes != nil:
		a.Verb, a.Path = spec.NonResourceAttributes.Verb, spec.NonResourceAttributes.Path
	default:
		asked := spec.ResourceAttributes
		a.ResourceRequest, a.Verb, a.APIGroup, a.APIVersion = true, asked.Verb, asked.Group, asked.Version
		a.Resource, a.Subresource, a.Name, a.Namespace = asked.Resource, asked.Subresource, asked.Name, asked.Namespace
		switch {
		case asked.Namespace != "":
			a.Scope = authz.Scope{Namespace: asked.Namespace}
		case spec.Workspace != "":
			a.Scope = authz.Scope{Workspace: spec.Workspace}
		case request.OfPlatform(asked.Group, asked.Resource):
			a.Scope = authz.Scope{}
		}
	}
	decision, _, err := h.Authorizer.Authorize(ctx, a)
	return decision == authorizer.DecisionAllow, err
}

func (h *Handler) rulesReview(w http.ResponseWriter, r *http.Request) error {
	review := &RulesReview{}
	if err := readJSON(r, review); err != nil {
		return err
	}
	who, err := h.subject(r, review.Spec.User)
	if err != nil {
		return err
	}
	scope := authz.Scope{Namespace: review.Spec.Namespace, Workspace: review.Spec.Workspace}
	if review.Spec.Cluster {
		scope.Cluster = authz.ThisCluster
	}
	rules, err := h.Rights.Rules(r.Context(), who, scope)
	if err != nil {
		return err
	}
	review.TypeMeta = metav1.TypeMeta{APIVersion: "iam.kubesphere.io/v1alpha2", Kind: "RulesReview"}
	review.Spec.User = who.GetName()
	review.Status = emptyRules(rules.Complete)
	return writeRules(w, r, http.StatusOK, review, rules)
}

// subject is who a review asks about: the caller, or somebody else for who may.
func (h *Handler) subject(r *http.Request, name string) (user.Info, error) {
	who, err := caller(r)
	if err != nil || name == "" || name == who.GetName() {
		return who, err
	}
	decision, _, err := h.Authorizer.Authorize(r.Context(), &authorizer.AttributesRecord{
		User: who, Verb: "create", APIGroup: authorizationv1.GroupName, APIVersion: "v1", Resource: "subjectaccessreviews", ResourceRequest: true,
	})
	if err != nil {
		return nil, err
	}
	if decision != authorizer.DecisionAllow {
		return nil, status.Forbidden(schema.GroupResource{Group: "iam.kubesphere.io", Resource: "accessreviews"}, "", "user %q may not ask what others may do", who.GetName())
	}
	account, found, err := h.Accounts.Account(r.Context(), name)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, status.NotFound("there is no user %q", name)
	}
	return &user.DefaultInfo{Name: name, Groups: append(slices.Clone(account.Groups), user.AllAuthenticated)}, nil
}

func readJSON(r *http.Request, into any) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	return route.Decode("the review", body, into)
}
