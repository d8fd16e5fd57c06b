package query

import (
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// Continuation is where the next page of a list begins, in the state of the list
// at a version. As a text it is the continue token of ListMeta.
type Continuation struct {
	Version uint64
	Offset  int
}

// continuationForm is the first part of tokens, for when they change.
const continuationForm = "v1"

// String is the token.
func (c Continuation) String() string {
	text := continuationForm + ":" + strconv.FormatUint(c.Version, 10) + ":" + strconv.Itoa(c.Offset)
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

// ParseContinuation reads a token. It fails with 400 for what is none.
func ParseContinuation(token string) (Continuation, error) {
	invalid := status.BadRequest("continue key is not valid: it must be one an earlier page of the list gave")
	text, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil {
		return Continuation{}, invalid
	}
	parts := strings.Split(string(text), ":")
	if len(parts) != 3 || parts[0] != continuationForm {
		return Continuation{}, invalid
	}
	version, err := strconv.ParseUint(parts[1], 10, 64)
	if err != nil || version == 0 {
		return Continuation{}, invalid
	}
	offset, err := strconv.ParseInt(parts[2], 10, 32)
	if err != nil || offset <= 0 {
		return Continuation{}, invalid
	}
	return Continuation{Version: version, Offset: int(offset)}, nil
}

// UseKubernetesPaging gives limit and continue the meaning they have in
// Kubernetes: a limit of 0 is none, and a token asks for the page after the one it
// came with, of the same state of the list.
func (q *Query) UseKubernetesPaging() error {
	if q.Limit == 0 {
		q.Limit = Unlimited
	}
	if q.Continue == "" {
		return nil
	}
	if q.ResourceVersion != 0 || q.Exact {
		return status.BadRequest("specifying resource version is not allowed when using continue")
	}
	at, err := ParseContinuation(q.Continue)
	if err != nil {
		return err
	}
	q.ResourceVersion, q.Exact, q.Start = at.Version, true, at.Offset
	return nil
}
