package oidc

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// newProxy is a proxy in front of a server that does not run yet. It serves it
// below a path, so that nothing works that does not derive addresses from the
// issuer. It returns the issuer and the port of the server.
func newProxy(t *testing.T) (issuer string, port int) {
	t.Helper()
	port = freePort(t)
	target := &url.URL{Scheme: "http", Host: fmt.Sprintf("127.0.0.1:%d", port)}
	a := newApplication(t)
	a.mux.Handle("/sub/path/", http.StripPrefix("/sub/path", &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target) // and another Host
	}}))
	return a.URL + "/sub/path", port
}

// person uses a browser: follows redirects, keeps cookies, logs in and agrees.
type person struct {
	*http.Client
	// pages are the titles of what was shown.
	pages []string
}

func newPerson(t *testing.T) *person {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &person{Client: &http.Client{Jar: jar}}
}

var (
	formAction = regexp.MustCompile(`<form method="post" action="([^"]*)">`)
	inputs     = regexp.MustCompile(`<input [^>]*name="([^"]*)"[^>]*value="([^"]*)"`)
	title      = regexp.MustCompile(`<h1>([^<]*)</h1>`)
)

// visit goes to an address and does what its pages ask for, until there is a
// page without a form, whose text it returns.
func (p *person) visit(t *testing.T, address string) string {
	t.Helper()
	response, err := p.Get(address)
	for range 6 {
		if err != nil {
			t.Fatal(err)
		}
		content, readErr := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if readErr != nil {
			t.Fatal(readErr)
		}
		page := string(content)
		if found := title.FindStringSubmatch(page); found != nil {
			p.pages = append(p.pages, html.UnescapeString(found[1]))
		}
		action := formAction.FindStringSubmatch(page)
		if action == nil || response.StatusCode != http.StatusOK {
			return page
		}
		form := url.Values{}
		for _, input := range inputs.FindAllStringSubmatch(page, -1) {
			form.Set(input[1], html.UnescapeString(input[2]))
		}
		if strings.Contains(page, `type="password"`) {
			form.Set("username", username)
			form.Set("password", password)
		}
		if strings.Contains(page, `value="allow"`) {
			form.Set("decision", "allow")
		}
		to, parseErr := response.Request.URL.Parse(html.UnescapeString(action[1]))
		if parseErr != nil {
			t.Fatal(parseErr)
		}
		request, requestErr := http.NewRequestWithContext(t.Context(), http.MethodPost, to.String(), strings.NewReader(form.Encode()))
		if requestErr != nil {
			t.Fatal(requestErr)
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("Accept", "text/html")
		request.Header.Set("Origin", to.Scheme+"://"+to.Host)
		response, err = p.Do(request)
	}
	t.Fatalf("the pages have no end: %q", p.pages)
	return ""
}
