package server

import (
	"fmt"
	"net/http"
	"strings"
)

// Check is a named condition of the server.
type Check struct {
	Name string
	// Err says why the condition does not hold; nil when it does.
	Err func() error
	// Detail is told beside a condition that holds; nil or empty for nothing.
	Detail func() string
}

// healthHandler answers 200 when all checks hold, else 503 with the reasons,
// a line per check as kube-apiserver writes them.
func healthHandler(checks []Check) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var b strings.Builder
		failed := false
		for _, check := range checks {
			if err := check.Err(); err != nil {
				failed = true
				fmt.Fprintf(&b, "[-]%s failed: %v\n", check.Name, err)
			} else {
				fmt.Fprintf(&b, "[+]%s ok%s\n", check.Name, detail(check))
			}
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		switch {
		case failed:
			w.WriteHeader(http.StatusServiceUnavailable)
			b.WriteString("not ready\n")
		case !r.URL.Query().Has("verbose"):
			b.Reset()
			b.WriteString("ok")
		default:
			b.WriteString("ok\n")
		}
		_, _ = w.Write([]byte(b.String()))
	}
}

func detail(check Check) string {
	if check.Detail == nil {
		return ""
	}
	if text := check.Detail(); text != "" {
		return ", but " + text
	}
	return ""
}
