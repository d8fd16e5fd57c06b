package route

import (
	"fmt"
	"net/http"
	"strings"
)

// WriteWarning adds a warning to an answer that kubectl and client-go print
// (RFC 7234 §5.5).
func WriteWarning(w http.ResponseWriter, format string, args ...any) {
	text := strings.Map(func(c rune) rune {
		if c < 0x20 || c == 0x7f || c == '"' || c == '\\' {
			return '\''
		}
		return c
	}, fmt.Sprintf(format, args...))
	w.Header().Add("Warning", `299 - "`+text+`"`)
}

// maxIgnored is how many parameters warnings name: clients refuse answers with more than a
// hundred headers.
const maxIgnored = 20

// WarnIgnored adds a warning for each parameter that has no effect on a resource, or one for
// those that are too many.
func WarnIgnored(w http.ResponseWriter, resource string, parameters []string) {
	if further := len(parameters) - maxIgnored; further > 0 {
		parameters = parameters[:maxIgnored]
		WriteWarning(w, "%d further parameters have no effect on %s", further, resource)
	}
	for _, name := range parameters {
		WriteWarning(w, "the parameter %q has no effect on %s", name, resource)
	}
}
