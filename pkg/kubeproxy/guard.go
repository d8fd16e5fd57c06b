package kubeproxy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/strictjson"
	"github.com/super-kubenetes/ks-apiserver/pkg/tenant"
	"github.com/super-kubenetes/ks-apiserver/pkg/turns"
)

// Rights decides what users may give and see. *authz.RBAC does.
type Rights interface {
	authz.RoleRights
	MayWriteRole(ctx context.Context, who user.Info, scope authz.Scope, resource schema.GroupResource, name string, rules []rbacv1.PolicyRule) error
	MayBind(ctx context.Context, who user.Info, scope authz.Scope, ref rbacv1.RoleRef) error
	Templates(ctx context.Context, kind string, names []string) ([]rbacv1.PolicyRule, error)
	VisibleNamespaces(ctx context.Context, who user.Info, actions ...authz.Action) (authz.Visible, error)
	HiddenNamespaces(ctx context.Context, who user.Info, action authz.Action) ([]string, error)
	MayRevoke(ctx context.Context, who user.Info, scope authz.Scope, ref rbacv1.RoleRef) error
	Administers(ctx context.Context, who user.Info) (bool, error)
	authorizer.UnconditionalAuthorizer
}

const (
	groupIAM    = "iam.kubesphere.io"
	groupTenant = "tenant.kubesphere.io"
	groupQuota  = "quota.kubesphere.io"
	workspace   = "kubesphere.io/workspace"
)

// maxBody bounds the body of a request that is inspected, in bytes: the
// limit of kube-apiserver.
const maxBody = 3 << 20

// guarded are the resources whose content gives users rights. Kubernetes checks
// that itself, but sees a member of the authorized group.
var guarded = map[schema.GroupResource]bool{
	{Group: rbacv1.GroupName, Resource: "roles"}:                true,
	{Group: rbacv1.GroupName, Resource: "clusterroles"}:         true,
	{Group: rbacv1.GroupName, Resource: "rolebindings"}:         true,
	{Group: rbacv1.GroupName, Resource: "clusterrolebindings"}:  true,
	{Group: groupIAM, Resource: "globalroles"}:                  true,
	{Group: groupIAM, Resource: "workspaceroles"}:               true,
	{Group: groupIAM, Resource: "globalrolebindings"}:           true,
	{Group: groupIAM, Resource: "workspacerolebindings"}:        true,
	{Group: groupIAM, Resource: "rolebases"}:                    true,
	{Group: groupIAM, Resource: "groups"}:                       true,
	{Group: groupIAM, Resource: "groupbindings"}:                true,
	{Group: groupIAM, Resource: "users"}:                        true,
	{Group: groupTenant, Resource: "workspaces"}:                true,
	{Group: groupTenant, Resource: "workspacetemplates"}:        true,
	{Resource: "namespaces"}:                                    true,
	{Resource: "resourcequotas"}:                                true,
	{Group: groupCertificates, Resource: "clustertrustbundles"}: true,
	tenant.Gateways: true, // of all projects in one namespace, with one service account
	// Its selector selects the namespaces it limits.
	{Group: groupQuota, Resource: "resourcequotas"}: true,
}

// secretive are the resources whose objects hold secrets: hashes of passwords and
// tokens, credentials of clusters, and the consents of users. The author of a hash
// knows a token of the user the object names. The API below /kapis leaves secrets
// out; here objects are shown whole, answers to writes included.
var secretive = map[schema.GroupResource]bool{
	{Group: groupIAM, Resource: "users"}:                   true,
	{Group: groupIAM, Resource: "sessions"}:                true,
	{Group: groupIAM, Resource: "personalaccesstokens"}:    true,
	{Group: groupIAM, Resource: "deviceauthorizations"}:    true,
	{Group: groupIAM, Resource: "consents"}:                true,
	{Group: "cluster.kubesphere.io", Resource: "clusters"}: true,
}

// recorded are the resources this server writes and acts on: users are locked
// out by the failures among their login records.
var recorded = map[schema.GroupResource]bool{
	{Group: groupIAM, Resource: "loginrecords"}: true,
}

// trusting are the resources whose objects let services answer in the name of this
// server: pages of theirs have its origin, and they may be given the tokens of
// callers. Roles in a cluster do not reach that far.
var trusting = map[schema.GroupResource]bool{
	{Group: "extensions.kubesphere.io", Resource: "apiservices"}:    true,
	{Group: "extensions.kubesphere.io", Resource: "reverseproxies"}: true,
}

func reads(verb string) bool { return verb == "get" || verb == "list" || verb == "watch" }

// reveal returns nil when a user may see objects with secrets as they are stored,
// or choose the services this server trusts: an administrator of the platform.
func (p *Proxy) reveal(ctx context.Context, who user.Info, info *request.Info) error {
	resource := schema.GroupResource{Group: info.APIGroup, Resource: info.Resource}
	if !secretive[resource] && (!trusting[resource] && !recorded[resource] || reads(info.Verb)) {
		return nil
	}
	administers, err := p.rights.Administers(ctx, who)
	if err != nil || administers {
		return err
	}
	if trusting[resource] {
		return status.Forbidden(resource, info.Name, "user %q needs all rights on the platform to choose the service of a part of its API", who.GetName())
	}
	return status.Forbidden(resource, info.Name, "user %q may do this at the API of the platform below /kapis only", who.GetName())
}

func guards(info *request.Info) bool {
	resource := schema.GroupResource{Group: info.APIGroup, Resource: info.Resource}
	switch info.Verb {
	case "create", "update", "patch":
		return guarded[resource] || isLockable(resource) || createsLimited(info) || interceptors[resource] || networkPolicies[resource] || writesComponentFields(info, resource) ||
			resource == certificateRequests ||
			resource == corev1.Resource("secrets") // some are credentials, whatever the encoding of the body
	}
	return false
}

// guard returns a write whose outcome the caller may bring about, or the error to
// answer with, and the warnings of the answer. Room that was reserved for a new object is
// released when the write has been answered. Kubernetes computes the outcome in a dry run,
// since a patch may be of any kind.
func (p *Proxy) guard(r *http.Request, info *request.Info, who user.Info, body []byte) (checked *guardedWrite, err error) {
	if info.Resource == "resourcequotas" { // before Kubernetes reads it for the outcome
		if err := tenant.CheckAmountTexts(body); err != nil {
			return nil, err
		}
	}
	before, err := p.before(r, info)
	if err != nil {
		return nil, err
	}
	outcome, err := p.dryRun(r, body)
	if err != nil {
		return nil, p.reservedOr(r.Context(), who, info, err)
	}
	if err := p.permit(r.Context(), who, info, before, outcome); err != nil {
		return nil, err
	}
	checked = &guardedWrite{release: func() {}}
	if checked.warnings, err = p.groupWarnings(r.Context(), outcome); err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	asNew := func() error { return p.permit(r.Context(), who, info, nil, outcome) } //nolint:contextcheck // the request's
	if before != nil && !p.mayReplace(r, info, who, body, asNew) {
		if body, err = pinned(r, body, before, outcome); err != nil {
			return nil, err
		}
	}
	if before == nil {
		if checked.release, err = p.reserve(r.Context(), who, info, outcome); err != nil {
			return nil, err
		}
	}
	checked.request = withBody(r, body)
	return checked, nil
}

// pinned is the body of a write that can only have the outcome that was looked
// at. An update is replaced by its outcome. A patch applies to no other state: two
// that are harmless alone need not be so together, and one that changes nothing now
// brings back what somebody takes away meanwhile.
func pinned(r *http.Request, body []byte, before, outcome *unstructured.Unstructured) ([]byte, error) {
	if r.Method == http.MethodPut {
		r.Header.Set("Content-Type", "application/json")
		outcome.SetResourceVersion(before.GetResourceVersion())
		return json.Marshal(outcome.Object)
	}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if types.PatchType(media) == types.ApplyCBORPatchType {
		return nil, status.UnsupportedMediaType(media, string(types.ApplyYAMLPatchType))
	}
	return route.BindPatch(r.Context(), turns.HolderFrom(r.Context()), media, body, before.GetResourceVersion())
}

// dryRun asks Kubernetes for the outcome of a write. An error is Kubernetes'.
func (p *Proxy) dryRun(r *http.Request, body []byte) (*unstructured.Unstructured, error) {
	values := r.URL.Query()
	values.Set("dryRun", "All")
	return p.ask(r.Context(), r.Method, r.URL, values, r.Header, body)
}

// before is the object a write is about, nil when there is none.
func (p *Proxy) before(r *http.Request, info *request.Info) (*unstructured.Unstructured, error) {
	if info.Name == "" || info.Verb == "create" {
		return nil, nil
	}
	target := *r.URL
	if info.Subresource != "" {
		target.Path = strings.TrimSuffix(strings.TrimSuffix(target.Path, "/"), "/"+info.Subresource)
		target.RawPath = ""
	}
	// Nothing of it is shown to a caller who may write and not read it.
	found, err := p.ask(asServer(r.Context()), http.MethodGet, &target, nil, http.Header{}, nil)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return found, err
}

// connectionHeaders are about the client's connection and the encoding of its body.
var connectionHeaders = []string{
	"Accept-Encoding", "Connection", "Content-Length", "Expect", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// question is a request to Kubernetes as the caller, for an answer in JSON.
func (p *Proxy) question(ctx context.Context, method string, target *url.URL, values url.Values, header http.Header, body []byte) (*http.Request, error) {
	where := p.at(target)
	where.RawQuery = values.Encode()
	request, err := http.NewRequestWithContext(ctx, method, where.String(), bytes.NewReader(body)) //nolint:gosec // the host is Kubernetes', see at
	if err != nil {
		return nil, err
	}
	maps.Copy(request.Header, header.Clone())
	request.Header.Set("Accept", "application/json")
	for _, name := range connectionHeaders {
		request.Header.Del(name)
	}
	who, _ := kuberequest.UserFrom(ctx)
	kube.Impersonate(ctx, request.Header, who)
	return request, nil
}

// ask sends a question and returns the object it is answered with, or the error.
func (p *Proxy) ask(ctx context.Context, method string, target *url.URL, values url.Values, header http.Header, body []byte) (*unstructured.Unstructured, error) {
	request, err := p.question(ctx, method, target, values, header, body)
	if err != nil {
		return nil, err
	}
	answer, err := p.transport.RoundTrip(request)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, status.Unavailable(5, "Kubernetes does not answer at the moment")
	}
	defer func() { _ = answer.Body.Close() }()
	if err := p.look(answer); err != nil { //nolint:contextcheck // it is the answer's
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, 2*maxBody))
	if err != nil {
		return nil, status.Unavailable(5, "Kubernetes does not answer at the moment")
	}
	if answer.StatusCode >= http.StatusBadRequest {
		return nil, statusError(answer.StatusCode, text)
	}
	return decodeAnswer(header.Get("Content-Type"), text)
}

// decodeAnswer decodes the object that Kubernetes answers a request with, whose body was of a
// media type. What a body in protobuf or CBOR holds is bounded here, as what one in JSON
// holds is before it is sent.
func decodeAnswer(contentType string, text []byte) (*unstructured.Unstructured, error) {
	if media, _, _ := mime.ParseMediaType(contentType); isBinary(media) {
		if err := strictjson.CheckKeys(text); errors.Is(err, strictjson.ErrTooComplex) {
			return nil, status.New(http.StatusRequestEntityTooLarge, metav1.StatusReasonRequestEntityTooLarge, "the object is too large to check: %v", err)
		}
	}
	object := &unstructured.Unstructured{}
	if err := json.Unmarshal(text, &object.Object); err != nil || object.Object == nil {
		return nil, errors.New("Kubernetes answered a write with no object") //nolint:staticcheck // a name
	}
	return object, nil
}

// isBinary reports whether bodies of a media type are forwarded without being read.
func isBinary(media string) bool {
	switch media {
	case runtime.ContentTypeProtobuf, runtime.ContentTypeCBOR, string(types.ApplyCBORPatchType):
		return true
	}
	return false
}
