package cas

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
)

// The answers of CAS Protocol 3.0 §2.5.
const (
	good = `<?xml version="1.0" encoding="UTF-8"?>
<cas:serviceResponse xmlns:cas="http://www.yale.edu/tp/cas">
 <cas:authenticationSuccess>
  <cas:user>jane</cas:user>
  <cas:attributes>
   <cas:mail>jane@example.com</cas:mail>
   <cas:displayName>Jane Doe</cas:displayName>
   <cas:memberOf>staff</cas:memberOf>
   <cas:memberOf>faculty</cas:memberOf>
   <cas:isFromNewLogin>true</cas:isFromNewLogin>
  </cas:attributes>
 </cas:authenticationSuccess>
</cas:serviceResponse>`
	bare    = `<cas:serviceResponse xmlns:cas="http://www.yale.edu/tp/cas"><cas:authenticationSuccess><cas:user> jane </cas:user></cas:authenticationSuccess></cas:serviceResponse>`
	invalid = `<cas:serviceResponse xmlns:cas="http://www.yale.edu/tp/cas"><cas:authenticationFailure code="INVALID_TICKET">Ticket ST-secret not recognized</cas:authenticationFailure></cas:serviceResponse>`
)

func TestParse(t *testing.T) {
	for _, test := range []struct {
		name, content string
		user, code    string
	}{
		{"good", good, "jane", ""},
		{"bare", bare, "jane", ""},
		{"without a namespace", "<serviceResponse><authenticationSuccess><user>jane</user></authenticationSuccess></serviceResponse>\n", "jane", ""},
		{"a comment within", "<serviceResponse><authenticationSuccess><user>ja<!-- x -->ne</user></authenticationSuccess></serviceResponse>", "jane", ""},
		{"invalid", invalid, "", "INVALID_TICKET"},
		{"a code of no form", strings.ReplaceAll(invalid, "INVALID_TICKET", "x&#10;y"), "", "UNKNOWN"},
		{"nothing", "", "", ""},
		{"HTML", "<html><body>Log in</body></html>", "", ""},
		{"JSON", `{"serviceResponse":{}}`, "", ""},
		{"neither", "<serviceResponse></serviceResponse>", "", ""},
		{"both", "<serviceResponse><authenticationSuccess><user>jane</user></authenticationSuccess><authenticationFailure code=\"X\"/></serviceResponse>", "", ""},
		{"two people", "<serviceResponse><authenticationSuccess><user>jane</user><user>admin</user></authenticationSuccess></serviceResponse>", "", ""},
		{"two successes", "<serviceResponse><authenticationSuccess><user>jane</user></authenticationSuccess><authenticationSuccess><user>admin</user></authenticationSuccess></serviceResponse>", "", ""},
		{"nobody", "<serviceResponse><authenticationSuccess><user> </user></authenticationSuccess></serviceResponse>", "", ""},
		{"a user elsewhere", "<serviceResponse><user>jane</user></serviceResponse>", "", ""},
		{"two documents", bare + bare, "", ""},
		{"cut off", good[:len(good)-10], "", ""},
		// External entities are not resolved, and unknown ones an error.
		{"an entity", `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><serviceResponse><authenticationSuccess><user>&e;</user></authenticationSuccess></serviceResponse>`, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			who, code, err := parse([]byte(test.content))
			if who.Subject != test.user || who.Username != test.user || code != test.code || (err == nil) != (test.user != "" || test.code != "") {
				t.Errorf("got %+v, %q, %v", who, code, err)
			}
			if err != nil && err != errNoAnswer { //nolint:errorlint // nothing may be told beside it
				t.Errorf("it tells more: %v", err)
			}
		})
	}
	who, _, err := parse([]byte(good))
	if err != nil || who.Email != "jane@example.com" || who.EmailVerified || who.DisplayName != "Jane Doe" || !slices.Equal(who.Groups, []string{"staff", "faculty"}) {
		t.Errorf("got %+v, %v", who, err)
	}
}

// FuzzParse: an answer is a person, a refusal or an error, and never two of them.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{good, bare, invalid, "", "<a>", strings.Repeat("<a>", 1000), "<!DOCTYPE x>" + bare, bare + "<!-- -->", "\xff\xfe<\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content string) {
		who, code, err := parse([]byte(content))
		outcomes := 0
		for _, outcome := range []bool{who.Subject != "", code != "", err != nil} {
			if outcome {
				outcomes++
			}
		}
		if outcomes != 1 || who.Subject != strings.TrimSpace(who.Subject) || who.EmailVerified {
			t.Fatalf("got %+v, %q, %v", who, code, err)
		}
		if who.Subject != "" && strings.Count(content, "authenticationSuccess") < 1 {
			t.Fatalf("%q logs in without a success", who.Subject)
		}
	})
}

// TestTicketLogin goes the way of a browser through a CAS.
func TestTicketLogin(t *testing.T) {
	const callback = "https://ks.example.com/oauth/callback/cas?x=1"
	for _, test := range []struct {
		name     string
		visit    identity.Visit
		change   func(url.Values)
		redirect string
		answer   string
		status   int
		subject  string
		err      error
	}{
		{name: "good", visit: identity.Visit{CallbackURL: callback, State: "some-state"}, answer: good, subject: "jane"},
		{name: "begun by others", visit: identity.Visit{CallbackURL: callback}, answer: good, subject: "jane"},
		{name: "to where it is configured", visit: identity.Visit{CallbackURL: callback}, redirect: "https://console.example.com/cas", answer: good, subject: "jane"},
		{name: "refused", visit: identity.Visit{CallbackURL: callback}, answer: invalid, err: identity.ErrIncorrect},
		{name: "of another service", visit: identity.Visit{CallbackURL: callback + "&y=2"}, answer: good, err: identity.ErrIncorrect},
		{name: "without a ticket", visit: identity.Visit{CallbackURL: callback}, change: func(v url.Values) { v.Del("ticket") }, answer: good, err: identity.ErrIncorrect},
		{name: "with a huge ticket", visit: identity.Visit{CallbackURL: callback}, change: func(v url.Values) { v.Set("ticket", strings.Repeat("x", 1<<20)) }, answer: good, err: identity.ErrIncorrect},
		{name: "internal error", visit: identity.Visit{CallbackURL: callback}, answer: strings.ReplaceAll(invalid, "INVALID_TICKET", "INTERNAL_ERROR"), err: identity.ErrUnavailable},
		{name: "no answer of CAS", visit: identity.Visit{CallbackURL: callback}, answer: "<html/>", err: identity.ErrUnavailable},
		{name: "somewhere else", visit: identity.Visit{CallbackURL: callback}, answer: good, status: http.StatusFound, err: identity.ErrUnavailable},
		{name: "broken", visit: identity.Visit{CallbackURL: callback}, answer: good, status: http.StatusBadGateway, err: identity.ErrUnavailable},
		{name: "huge", visit: identity.Visit{CallbackURL: callback}, answer: strings.Repeat(" ", 2<<20) + good, err: identity.ErrUnavailable},
	} {
		t.Run(test.name, func(t *testing.T) {
			given := map[string]string{} // services by ticket
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				ticket := r.URL.Query().Get("ticket")
				service, known := given[ticket]
				delete(given, ticket)
				switch {
				case r.URL.Path == "/cas/elsewhere":
					_, _ = w.Write([]byte(good))
				case r.URL.Path != "/cas/p3/serviceValidate":
					w.WriteHeader(http.StatusNotFound)
				case !known || service != r.URL.Query().Get("service") && test.name != "of another service":
					_, _ = w.Write([]byte(strings.ReplaceAll(invalid, "INVALID_TICKET", "INVALID_SERVICE")))
				case service != r.URL.Query().Get("service"):
					_, _ = w.Write([]byte(invalid))
				default:
					w.Header().Set("Location", "/cas/elsewhere")
					w.WriteHeader(max(test.status, http.StatusOK))
					_, _ = w.Write([]byte(test.answer))
				}
			}))
			defer server.Close()
			p, err := New(Options{CASServerURL: server.URL + "/cas/", RedirectURL: test.redirect})
			if err != nil {
				t.Fatal(err)
			}
			address, err := p.LoginURL(t.Context(), test.visit)
			if err != nil || !strings.HasPrefix(address, server.URL+"/cas/login?") {
				t.Fatalf("got %s, %v", address, err)
			}
			parsed, err := url.Parse(address)
			if err != nil {
				t.Fatal(err)
			}
			service, err := url.Parse(parsed.Query().Get("service"))
			if err != nil || service.Query().Get("state") != test.visit.State {
				t.Fatalf("the state is not in %s", service)
			}
			given["ST-secret"] = service.String()
			if test.name == "of another service" {
				given["ST-secret"] = callback
			}
			parameters := service.Query() // what CAS sends the browser back with
			parameters.Set("ticket", "ST-secret")
			if test.change != nil {
				test.change(parameters)
			}
			who, err := p.Return(t.Context(), test.visit, parameters)
			if who.Subject != test.subject || !errors.Is(err, test.err) || (err == nil) != (test.err == nil) {
				t.Errorf("got %+v, %v", who, err)
			}
			if err != nil && strings.Contains(err.Error(), "ST-secret") {
				t.Errorf("it tells the ticket: %v", err)
			}
		})
	}
	t.Run("away", func(t *testing.T) {
		p, err := New(Options{CASServerURL: "http://127.0.0.1:1/cas"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.Return(t.Context(), identity.Visit{CallbackURL: callback}, url.Values{"ticket": {"ST-secret"}})
		if !errors.Is(err, identity.ErrUnavailable) || strings.Contains(err.Error(), "ST-secret") {
			t.Errorf("got %v", err)
		}
	})
}
