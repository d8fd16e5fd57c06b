package roles

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/turns"
)

// maxReview bounds the body of a review, in bytes.
const maxReview = 64 << 10

// protobufMagic begins objects of Kubernetes in protobuf.
var protobufMagic = []byte("k8s\x00")

// SelfReviews answer, by pattern, the questions clients of Kubernetes ask about
// themselves, such as kubectl auth can-i. Kubernetes would answer for the group
// forwarded requests are made in: everything.
func (h *Handler) SelfReviews() (route.Group, error) {
	scheme := runtime.NewScheme()
	if err := authorizationv1.AddToScheme(scheme); err != nil {
		return route.Group{}, err
	}
	decoder := serializer.NewCodecFactory(scheme).UniversalDeserializer()
	read := func(w http.ResponseWriter, r *http.Request, into runtime.Object) error {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxReview))
		if err != nil {
			return err
		}
		// Aliases in a short text of YAML may expand to a long one.
		if !json.Valid(body) && !bytes.HasPrefix(body, protobufMagic) {
			if body, err = route.JSONFromYAML(r.Context(), turns.HolderFrom(r.Context()), body, "the body is no review"); err != nil {
				return err
			}
		}
		gvk := into.GetObjectKind().GroupVersionKind()
		if _, found, err := decoder.Decode(body, &gvk, into); err != nil || *found != gvk {
			return status.BadRequest("the body is no %s", gvk.Kind)
		}
		return nil
	}
	review := func(resource, id, summary string, model any, handler route.Handler) route.Route {
		return route.Route{
			Method: http.MethodPost, Path: "/" + resource, ID: id, Summary: summary, DocumentedElsewhere: true, Body: model,
			Responses: []route.Response{{Code: http.StatusCreated, Description: "The review.", Model: model}}, Handler: handler,
		}
	}
	return route.Group{Prefix: "/apis/authorization.k8s.io/v1", Tag: "Roles", Routes: []route.Route{
		review("selfsubjectaccessreviews", "reviewOwnAccess", "Ask whether one may do something", authorizationv1.SelfSubjectAccessReview{}, func(w http.ResponseWriter, r *http.Request) error {
			review := &authorizationv1.SelfSubjectAccessReview{}
			review.SetGroupVersionKind(authorizationv1.SchemeGroupVersion.WithKind("SelfSubjectAccessReview"))
			if err := read(w, r, review); err != nil {
				return err
			}
			who, err := caller(r)
			if err != nil {
				return err
			}
			spec := &AccessReviewSpec{ResourceAttributes: review.Spec.ResourceAttributes, NonResourceAttributes: review.Spec.NonResourceAttributes}
			if review.Status.Allowed, err = h.may(r.Context(), who, spec); err != nil {
				return err
			}
			status.WriteJSON(w, http.StatusCreated, review)
			return nil
		}),
		review("selfsubjectrulesreviews", "reviewOwnRules", "Ask for the own rules in a namespace", authorizationv1.SelfSubjectRulesReview{}, func(w http.ResponseWriter, r *http.Request) error {
			review := &authorizationv1.SelfSubjectRulesReview{}
			review.SetGroupVersionKind(authorizationv1.SchemeGroupVersion.WithKind("SelfSubjectRulesReview"))
			if err := read(w, r, review); err != nil {
				return err
			}
			who, err := caller(r)
			if err != nil {
				return err
			}
			if review.Spec.Namespace == "" {
				return status.BadRequest("no namespace on request")
			}
			rules, err := h.Rights.Rules(r.Context(), who, authz.Scope{Namespace: review.Spec.Namespace})
			if err != nil {
				return err
			}
			review.Status = emptyRules(rules.Complete)
			return writeRules(w, r, http.StatusCreated, review, rules)
		}),
	}}, nil
}
