package oauth

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// maxForm bounds the form of a request, in bytes.
const maxForm = 64 << 10

// readForm reads the parameters from the body only: a password in a URL ends
// up in logs (RFC 6749 §2.3.1, RFC 9700).
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != form {
		return nil, invalidRequest(http.StatusUnsupportedMediaType, "the body must be of type "+form)
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return nil, err
		}
		return nil, invalidRequest(http.StatusBadRequest, "the form is not validly encoded")
	}
	return normalize(r.PostForm)
}

// normalize applies the rules RFC 6749 §3.1 and §3.2 have for all parameters:
// one without a value counts as omitted, and none may be repeated.
func normalize(values url.Values) (url.Values, error) {
	for name, given := range values {
		if len(given) > 1 {
			return nil, invalidRequest(http.StatusBadRequest, "the parameter "+printable(name)+" is there twice")
		}
		if given[0] == "" {
			delete(values, name)
		}
	}
	return values, nil
}

// parseQuery reads the parameters of a query.
func parseQuery(query string) (url.Values, error) {
	values, err := url.ParseQuery(query)
	if err != nil || len(query) > maxForm {
		return nil, invalidRequest(http.StatusBadRequest, "the query is not validly encoded")
	}
	return normalize(values)
}

// parameters reads those of a request that is a GET or a POST alike.
func parameters(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if r.Method == http.MethodPost {
		return readForm(w, r)
	}
	return parseQuery(r.URL.RawQuery)
}

// appendParameters adds parameters to a registered URI. All of the URI, its query
// included, stays as it is (RFC 6749 §3.1.2): parsing and encoding a query again
// loses what is not in the form of form fields. Bytes that no URI has are escaped.
func appendParameters(uri string, values url.Values) string {
	var target strings.Builder
	for n := range len(uri) {
		if c := uri[n]; c <= ' ' || c > '~' {
			fmt.Fprintf(&target, "%%%02X", c)
		} else {
			target.WriteByte(c)
		}
	}
	if len(values) == 0 {
		return target.String()
	}
	switch {
	case !strings.Contains(uri, "?"):
		target.WriteByte('?')
	case !strings.HasSuffix(uri, "?") && !strings.HasSuffix(uri, "&"):
		target.WriteByte('&')
	}
	target.WriteString(values.Encode())
	return target.String()
}

// printable keeps a parameter's name within the characters RFC 6749 §5.2
// allows in descriptions.
func printable(name string) string {
	for _, c := range name {
		if c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			return "given"
		}
	}
	return name[:min(len(name), 64)]
}
