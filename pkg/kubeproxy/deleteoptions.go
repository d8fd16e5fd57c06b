package kubeproxy

import (
	"context"
	"encoding/json"
	"io"
	"mime"
	"net/http"

	metainternalversionscheme "k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/turns"
)

// deleteOptionsTypes are the media types of DeleteOptions.
const deleteOptionsTypes = runtime.ContentTypeJSON + ", " + runtime.ContentTypeYAML + ", " + runtime.ContentTypeProtobuf

// maxDeleteOptions bounds the body of a deletion, in bytes: DeleteOptions have no field that
// grows with the object.
const maxDeleteOptions = 64 << 10

// takesDeleteOptions reports whether Kubernetes reads DeleteOptions of a request.
func takesDeleteOptions(info *request.Info) bool {
	return info.IsResourceRequest && (info.Verb == "delete" || info.Verb == "deletecollection") && info.Subresource == ""
}

// authorizeDeleteOptions authorizes the options of a deletion that take a right of
// their own. Kubernetes asks for that right as well, but of a member of the authorized
// group. The options are in the query or, for most clients, in the body.
func (p *Proxy) authorizeDeleteOptions(w http.ResponseWriter, r *http.Request, info *request.Info, who user.Info) (*http.Request, error) {
	if !takesDeleteOptions(info) {
		return r, nil
	}
	parameters, err := request.ParametersOf(r)
	if err != nil {
		return r, err
	}
	ignoresErrors := parameters.IgnoreStoreReadErrors
	if r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0 {
		body, err := readBody(w, r, maxDeleteOptions)
		if err != nil {
			return r, err
		}
		if len(body) > 0 {
			options, err := decodeDeleteOptions(r.Context(), turns.HolderFrom(r.Context()), r.Header.Get("Content-Type"), body)
			if err != nil {
				return r, err
			}
			ignored := options.IgnoreStoreReadErrorWithClusterBreakingPotential
			ignoresErrors = ignoresErrors || ignored != nil && *ignored
		}
		r = withBody(r, body)
	}
	if !ignoresErrors {
		return r, nil
	}
	return r, p.authorizeUnsafeDeletion(r.Context(), info, who)
}

// deleteOptions returns the options by which Kubernetes would make a deletion: those of the
// body, whose size is checked already, or of the query of one without a body. The request
// returned has that body.
func deleteOptions(ctx context.Context, r *http.Request) (*http.Request, *metav1.DeleteOptions, error) {
	if r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0 {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return r, nil, err
		}
		r = withBody(r, body)
		if len(body) > 0 {
			options, err := decodeDeleteOptions(ctx, turns.HolderFrom(ctx), r.Header.Get("Content-Type"), body)
			return r, options, err
		}
	}
	options := &metav1.DeleteOptions{}
	if err := metainternalversionscheme.ParameterCodec.DecodeParameters(r.URL.Query(), metav1.SchemeGroupVersion, options); err != nil {
		return r, nil, status.BadRequest("the query is not a DeleteOptions: %v", err)
	}
	return r, options, nil
}

// withDeleteOptions returns a deletion with options in its body.
func withDeleteOptions(r *http.Request, options *metav1.DeleteOptions) (*http.Request, error) {
	options = options.DeepCopy()
	options.SetGroupVersionKind(metav1.SchemeGroupVersion.WithKind("DeleteOptions"))
	body, err := json.Marshal(options)
	if err != nil {
		return r, err
	}
	r = withBody(r, body)
	r.Header.Set("Content-Type", runtime.ContentTypeJSON)
	return r, nil
}

// orphansDependents reports whether a deletion leaves the dependents of its object, by the
// query or by the body, whose size is checked already. The request returned has that body.
func orphansDependents(ctx context.Context, r *http.Request) (*http.Request, bool, error) {
	leaves := func(o *metav1.DeleteOptions) bool {
		return o.PropagationPolicy != nil && *o.PropagationPolicy == metav1.DeletePropagationOrphan || o.OrphanDependents != nil && *o.OrphanDependents //nolint:staticcheck // clients may send it
	}
	inQuery := &metav1.DeleteOptions{}
	if err := metainternalversionscheme.ParameterCodec.DecodeParameters(r.URL.Query(), metav1.SchemeGroupVersion, inQuery); err != nil {
		return r, false, status.BadRequest("the query is not a DeleteOptions: %v", err)
	}
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return r, leaves(inQuery), nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || len(body) == 0 {
		return r, leaves(inQuery), err
	}
	r = withBody(r, body)
	inBody, err := decodeDeleteOptions(ctx, turns.HolderFrom(ctx), r.Header.Get("Content-Type"), body)
	if err != nil {
		return r, false, err
	}
	return r, leaves(inQuery) || leaves(inBody), nil
}

// authorizeUnsafeDeletion returns a forbidden error unless a user has the power to
// delete an object that cannot be read, without its finalizers and preconditions.
func (p *Proxy) authorizeUnsafeDeletion(ctx context.Context, info *request.Info, who user.Info) error {
	var authorizes authorizer.UnconditionalAuthorizer = p.rights
	if p.options.Authorizer != nil {
		authorizes = p.options.Authorizer
	}
	attributes := authz.AttributesOf(info)
	attributes.User, attributes.Verb = who, authz.VerbUnsafeDelete
	decision, reason, err := authorizes.Authorize(ctx, attributes)
	if err != nil || decision == authorizer.DecisionAllow {
		return err
	}
	return authz.Forbidden(attributes, reason)
}

// decodeDeleteOptions decodes the body of a deletion as kube-apiserver does. YAML is converted
// in the turn of a holder: aliases in a short text may expand to a long one.
func decodeDeleteOptions(ctx context.Context, holder, contentType string, body []byte) (*metav1.DeleteOptions, error) {
	codecs := metainternalversionscheme.Codecs
	media := runtime.ContentTypeJSON
	if contentType != "" {
		parsed, _, err := mime.ParseMediaType(contentType)
		if err != nil {
			return nil, status.UnsupportedMediaType(contentType, deleteOptionsTypes)
		}
		media = parsed
	}
	if media == runtime.ContentTypeYAML {
		var err error
		if body, err = route.JSONFromYAML(ctx, holder, body, "the body is not a DeleteOptions"); err != nil {
			return nil, err
		}
		media = runtime.ContentTypeJSON
	}
	serializer, found := runtime.SerializerInfoForMediaType(codecs.SupportedMediaTypes(), media)
	if !found {
		return nil, status.UnsupportedMediaType(contentType, deleteOptionsTypes)
	}
	kind := metav1.SchemeGroupVersion.WithKind("DeleteOptions")
	options := &metav1.DeleteOptions{}
	decoded, _, err := codecs.DecoderToVersion(serializer.Serializer, metav1.SchemeGroupVersion).Decode(body, &kind, options)
	if err != nil {
		return nil, status.BadRequest("the body is not a DeleteOptions: %v", err)
	}
	if decoded != options {
		return nil, status.BadRequest("the body is not a DeleteOptions")
	}
	return options, nil
}
