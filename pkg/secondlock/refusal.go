package secondlock

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
	"k8s.io/apiserver/pkg/authentication/user"
)

// maxRefusal bounds what is read of an answer to find out who refuses, in bytes.
const maxRefusal = 64 << 10

// Refusal is what an answer says of who refuses a request.
type Refusal struct {
	// Text is the beginning of the answer.
	Text []byte
	// ByRoles says that an authorizer of Kubernetes refuses the request to the user, by its
	// words. Admission does not, and neither does who refuses this server's impersonation.
	ByRoles bool
	// OfServer says that this server may not make requests as the user.
	OfServer bool
	// Verb is the one that is refused, which is not always that of the request: a patch that
	// creates takes the right to create. It is empty if none is named.
	Verb string
}

// ReadRefusal returns what an answer to a user's request says of who refuses it, in whatever
// form the client asked for; who is nil for a request that this server has made by its own
// account. The body can be read as before.
func ReadRefusal(answer *http.Response, who user.Info) (Refusal, error) {
	start, err := io.ReadAll(io.LimitReader(answer.Body, maxRefusal))
	if err != nil {
		return Refusal{}, err
	}
	answer.Body = &replayed{Reader: io.MultiReader(bytes.NewReader(start), answer.Body), Closer: answer.Body}
	refusal, message := Refusal{Text: start}, string(start)
	if strings.HasPrefix(message, "{") {
		message = gjson.Get(message, "message").String()
	}
	_, sentence, found := strings.Cut(message, "forbidden: User ")
	if !found || strings.Contains(message, "ValidatingAdmissionPolicy '") || strings.HasPrefix(message, "admission webhook ") {
		return refusal, nil
	}
	// What is behind Kubernetes, maybe another one, knows the user by no name or another.
	subject := ""
	if who != nil {
		subject = strconv.Quote(who.GetName())
	} else if account, _, found := strings.Cut(sentence, " cannot "); found {
		subject = account
	}
	if rest, found := strings.CutPrefix(sentence, subject+" cannot "); found {
		refusal.ByRoles, refusal.OfServer = who != nil, who == nil
		if verb, _, found := strings.Cut(rest, " "); found && len(verb) <= maxVerb {
			refusal.Verb = verb
		}
	}
	if strings.Contains(sentence, `" cannot impersonate`) {
		refusal.OfServer, refusal.ByRoles = true, false
	}
	return refusal, nil
}

// maxVerb is the length of a verb that is one.
const maxVerb = 32

// replayed is a body of which the start has been read.
type replayed struct {
	io.Reader
	io.Closer
}
