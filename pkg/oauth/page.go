package oauth

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

//go:embed pages
var pageFiles embed.FS

// pages are the templates with their style. They need no script.
type pages struct {
	templates *template.Template
	style     template.CSS
	// hash of the style, for the Content-Security-Policy.
	hash string
}

// loadPages parses what is compiled in; a mistake there fails every test.
var loadPages = sync.OnceValues(func() (*pages, error) {
	templates, err := template.ParseFS(pageFiles, "pages/*.html")
	if err != nil {
		return nil, err
	}
	style, err := pageFiles.ReadFile("pages/style.css")
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(style)
	return &pages{templates: templates, style: template.CSS(style), hash: base64.StdEncoding.EncodeToString(digest[:])}, nil //nolint:gosec // our own
})

// page is one page for people.
type page struct {
	code  int
	title string
	// problem is what went wrong with what they did.
	problem string
	// body is the name of the template of the body, and data what it shows.
	body string
	data any
	// leadsTo is where a form of the page may lead in the end, beside our pages.
	leadsTo string
}

// show writes a page. It may load nothing, run nothing, and be framed by nobody.
func (h *Handler) show(w http.ResponseWriter, p page) error {
	loaded, err := loadPages()
	if err != nil {
		return err
	}
	var body, whole bytes.Buffer
	if err := loaded.templates.ExecuteTemplate(&body, p.body, p.data); err != nil {
		return err
	}
	err = loaded.templates.ExecuteTemplate(&whole, "page", map[string]any{
		"Title": p.title, "Product": h.Product, "Problem": p.problem, "Style": loaded.style,
		"Body": template.HTML(body.String()), //nolint:gosec // a template has just escaped it
	})
	if err != nil {
		return err
	}
	header := w.Header()
	header.Set("Content-Security-Policy", "default-src 'none'; style-src 'sha256-"+loaded.hash+"'; form-action 'self'"+formTarget(p.leadsTo)+"; frame-ancestors 'none'; base-uri 'none'")
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Referrer-Policy", "same-origin")
	header.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	noStore(w)
	if p.code == 0 {
		p.code = http.StatusOK
	}
	w.WriteHeader(p.code)
	_, _ = w.Write(whole.Bytes())
	return nil
}

// formTarget names an address in a form-action: browsers apply it to where
// the answer to a form redirects, too.
func formTarget(address string) string {
	target, err := url.Parse(address)
	if err != nil || target.Scheme == "" || strings.ContainsAny(target.Scheme+target.Host, " ;,'\"") {
		return ""
	}
	if target.Host == "" || target.Scheme != "http" && target.Scheme != "https" {
		return " " + target.Scheme + ":"
	}
	return " " + target.Scheme + "://" + target.Host
}

// refusePage tells a person what is wrong.
func (h *Handler) refusePage(w http.ResponseWriter, r *http.Request, err error) error {
	var known *Error
	if err = translate(err); !errors.As(err, &known) {
		described := status.Of(err)
		known = &Error{Code: "server_error", Description: described.Message, Status: int(described.Code)}
		if known.Status == http.StatusInternalServerError {
			slog.ErrorContext(r.Context(), "login failed", "id", request.ID(r.Context()), "path", r.URL.Path, "error", err)
		}
	}
	if !wantsPage(r) {
		return answer(w, r, nil, known)
	}
	if known.Status == 0 {
		known.Status = http.StatusBadRequest
	}
	return h.show(w, page{code: known.Status, title: "This did not work", body: "message", data: map[string]any{"Text": sentence(known.Description)}})
}

// sentence makes one of a description.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:] + "."
}
