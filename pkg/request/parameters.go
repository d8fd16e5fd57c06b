package request

import (
	"net/http"
	"net/url"
	"strings"

	"k8s.io/apimachinery/pkg/fields"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// Names of the parameters that decide what a request does, how long it lasts or
// which objects it is about. The names are those of Kubernetes, but for ParameterConfirmBindings.
const (
	ParameterWatch                = "watch"
	ParameterFieldSelector        = "fieldSelector"
	ParameterLabelSelector        = "labelSelector"
	ParameterResourceVersion      = "resourceVersion"
	ParameterResourceVersionMatch = "resourceVersionMatch"
	ParameterLimit                = "limit"
	ParameterContinue             = "continue"
	ParameterAllowWatchBookmarks  = "allowWatchBookmarks"
	ParameterSendInitialEvents    = "sendInitialEvents"
	ParameterTimeoutSeconds       = "timeoutSeconds"
	ParameterFollow               = "follow"
	ParameterDryRun               = "dryRun"
	ParameterPropagationPolicy    = "propagationPolicy"
	// ParameterIgnoreStoreReadErrors deletes an object that cannot be read, without its
	// finalizers and preconditions. It takes the verb unsafe-delete-ignore-read-errors.
	ParameterIgnoreStoreReadErrors = "ignoreStoreReadErrorWithClusterBreakingPotential"
	// ParameterConfirmBindings accepts the bindings that name a new user or group already.
	ParameterConfirmBindings = "confirmBindings"
)

// Parameters are the query parameters of a request, parsed once: the authorizer,
// the list engine and the proxy read the same values. They must not be changed.
type Parameters struct {
	// Watch asks for a stream of changes instead of a list.
	Watch bool
	// AllowWatchBookmarks and SendInitialEvents are parameters of a watch.
	AllowWatchBookmarks, SendInitialEvents bool
	// Follow asks for a log as it is written.
	Follow bool
	// IgnoreStoreReadErrors deletes an object that cannot be read.
	IgnoreStoreReadErrors bool
	// ConfirmBindings accepts the bindings that name a new user or group already.
	ConfirmBindings bool
	// Fields is the parsed field selector, nil when there is none.
	Fields fields.Selector
	// The following parameters are as the client sent them, "" when absent.
	FieldSelector, LabelSelector, ResourceVersion, ResourceVersionMatch, Limit, Continue, TimeoutSeconds, DryRun, PropagationPolicy string
	// WatchIgnored is true when the client asked for a watch of what cannot be
	// watched, see Info.IgnoreWatch.
	WatchIgnored bool

	values url.Values
	raw    string
}

// noParameters are those of all requests without a query.
var noParameters = &Parameters{}

// ParseParameters parses the query of a request. It fails with status 400 when
// the query is not validly encoded, when a deciding parameter is repeated, and
// when a Boolean or the field selector is malformed: such parameters could mean
// something else to the server a request is forwarded to.
func ParseParameters(rawQuery string) (*Parameters, error) {
	if rawQuery == "" {
		return noParameters, nil
	}
	values, err := url.ParseQuery(rawQuery)
	if err != nil {
		return nil, status.BadRequest("the query is not validly encoded: %v", err)
	}
	p := &Parameters{values: values, raw: rawQuery}
	for name, all := range values {
		if err := p.read(name, all); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// read reads a parameter if it decides something. Such a parameter may be given once:
// of two values, servers on the way might read different ones.
func (p *Parameters) read(name string, all []string) (err error) {
	value := all[len(all)-1]
	switch name {
	case ParameterWatch:
		p.Watch, err = ParseBool(name, value)
	case ParameterAllowWatchBookmarks:
		p.AllowWatchBookmarks, err = ParseBool(name, value)
	case ParameterSendInitialEvents:
		p.SendInitialEvents, err = ParseBool(name, value)
	case ParameterFollow:
		p.Follow, err = ParseBool(name, value)
	case ParameterIgnoreStoreReadErrors:
		p.IgnoreStoreReadErrors, err = ParseBool(name, value)
	case ParameterConfirmBindings:
		p.ConfirmBindings, err = ParseBool(name, value)
	case ParameterFieldSelector:
		p.FieldSelector = value
		if value != "" {
			if p.Fields, err = fields.ParseSelector(value); err != nil {
				err = status.BadRequest("invalid %s: %v", name, err)
			}
		}
	case ParameterLabelSelector:
		p.LabelSelector = value
	case ParameterResourceVersion:
		p.ResourceVersion = value
	case ParameterResourceVersionMatch:
		p.ResourceVersionMatch = value
	case ParameterLimit:
		p.Limit = value
	case ParameterContinue:
		p.Continue = value
	case ParameterTimeoutSeconds:
		p.TimeoutSeconds = value
	case ParameterDryRun:
		p.DryRun = value
	case ParameterPropagationPolicy:
		p.PropagationPolicy = value
	default:
		return nil
	}
	if single := checkSingle(name, all); single != nil {
		return single
	}
	return err
}

// checkSingle returns status 400 for a parameter that is repeated.
func checkSingle(name string, all []string) error {
	if len(all) > 1 {
		return status.BadRequest("the parameter %s is given %d times, at most one is accepted", name, len(all))
	}
	return nil
}

// ParametersOf returns the parameters of a request: those its description was
// made with, or those of a request without one or whose query was replaced.
func ParametersOf(r *http.Request) (*Parameters, error) {
	if info := InfoFrom(r.Context()); info != nil && info.Parameters != nil && info.Parameters.raw == r.URL.RawQuery {
		return info.Parameters, nil
	}
	return ParseParameters(r.URL.RawQuery)
}

// All returns the parameters by name; callers must not change them.
func (p *Parameters) All() url.Values { return p.values }

// Has reports whether a parameter is given, with a value or without one.
func (p *Parameters) Has(name string) bool { return len(p.values[name]) > 0 }

// Get returns the value of a parameter, "" when it is absent. Of a parameter that
// decides nothing and is repeated the last value counts, as existing clients expect.
func (p *Parameters) Get(name string) string {
	if all := p.values[name]; len(all) > 0 {
		return all[len(all)-1]
	}
	return ""
}

// Single returns the value of a parameter of one operation that decides what the
// operation does, "" when it is absent. It fails with status 400 when the parameter is
// repeated.
func (p *Parameters) Single(name string) (string, error) {
	return p.Get(name), checkSingle(name, p.values[name])
}

// SingleBool is Single for a Boolean. It is false when the parameter is absent or has
// no value: forms send such a parameter for an option that is not set.
func (p *Parameters) SingleBool(name string) (bool, error) {
	value, err := p.Single(name)
	if err != nil || value == "" {
		return false, err
	}
	return ParseBool(name, value)
}

// ParseBool returns the value of a Boolean parameter as Kubernetes reads it: false is 0, or
// "false" in any case; true is 1, "true" in any case, or no value. Kubernetes takes
// everything else as true; it is refused here with status 400, since other readers
// do not.
func ParseBool(name, value string) (bool, error) {
	switch {
	case value == "", value == "1", strings.EqualFold(value, "true"):
		return true, nil
	case value == "0", strings.EqualFold(value, "false"):
		return false, nil
	}
	return false, status.BadRequest("%s must be true or false, not %q", name, value)
}
