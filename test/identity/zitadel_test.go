package identity

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"

	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity/oidc"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity/outbound"
)

const callback = "http://127.0.0.1:1/oauth/callback/zitadel"

// start runs the provider until the test ends.
func start(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	issuer := "http://" + server.Listener.Addr().String()
	storage.RegisterClients(storage.WebClient("us", "our-secret", callback), storage.WebClient("others", "their-secret", callback))
	server.Config.Handler = exampleop.SetupServer(issuer, storage.NewStorage(storage.NewUserStore(issuer)), slog.New(slog.NewTextHandler(io.Discard, nil)), false)
	server.Start()
	t.Cleanup(server.Close)
	return server
}

func provider(t *testing.T, issuer string, change func(*oidc.Options)) *oidc.Provider {
	t.Helper()
	options := oidc.Options{Issuer: issuer, GetUserInfo: true, CodeOptions: outbound.CodeOptions{ClientID: "us", ClientSecret: "our-secret"}}
	if change != nil {
		change(&options)
	}
	p, err := oidc.New(options, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// browse logs in on the provider's pages and returns what it comes back with.
func browse(t *testing.T, address, password string) url.Values {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	var back *url.URL
	browser := &http.Client{Jar: jar, Timeout: 10 * time.Second, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), callback) {
			back = r.URL
			return http.ErrUseLastResponse
		}
		return nil
	}}
	page, err := browser.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	_ = page.Body.Close()
	id := page.Request.URL.Query().Get("authRequestID")
	if id == "" {
		t.Fatalf("%s is no login page: %s", page.Request.URL, page.Status)
	}
	form := url.Values{"id": {id}, "username": {"test-user2"}, "password": {password}}
	answer, err := browser.PostForm(page.Request.URL.Scheme+"://"+page.Request.URL.Host+"/login/username", form)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if back == nil {
		return nil
	}
	return back.Query()
}

func visit() identity.Visit {
	return identity.Visit{CallbackURL: callback, State: "some-state", Nonce: "some-nonce", Verifier: "a-verifier-of-more-than-forty-three-characters-as-RFC-7636-asks"}
}

func TestZitadelLogin(t *testing.T) {
	server := start(t)
	p := provider(t, server.URL, nil)
	address, err := p.LoginURL(t.Context(), visit())
	if err != nil {
		t.Fatal(err)
	}
	if back := browse(t, address, "wrong"); back != nil {
		t.Fatalf("a wrong password came back with %v", back)
	}
	back := browse(t, address, "verysecure")
	if back.Get("state") != "some-state" {
		t.Fatalf("came back with %v", back)
	}
	who, err := p.Return(t.Context(), visit(), back)
	if err != nil {
		t.Fatal(err)
	}
	if who.Subject != "id2" || who.Username != "test-user2" || who.Email != "test-user2@zitadel.ch" || !who.EmailVerified || who.DisplayName != "Test User2" {
		t.Errorf("got %+v", who)
	}
	if _, err := p.Return(t.Context(), visit(), back); !errors.Is(err, identity.ErrIncorrect) {
		t.Errorf("the code is good twice: %v", err)
	}
}

// TestZitadelBegunByOthers: consoles of KubeSphere 3.x build the address
// themselves, without a nonce and PKCE.
func TestZitadelBegunByOthers(t *testing.T) {
	server := start(t)
	p := provider(t, server.URL, nil)
	plain := identity.Visit{CallbackURL: callback}
	address, err := p.LoginURL(t.Context(), plain)
	if err != nil {
		t.Fatal(err)
	}
	if who, err := p.Return(t.Context(), plain, browse(t, address, "verysecure")); err != nil || who.Subject != "id2" {
		t.Errorf("got %+v, %v", who, err)
	}
}

func TestZitadelRefuses(t *testing.T) {
	server := start(t)
	for _, test := range []struct {
		name   string
		change func(*oidc.Options)
		visit  func(*identity.Visit)
		want   error
	}{
		{"another verifier", nil, func(v *identity.Visit) { v.Verifier = strings.Repeat("x", 43) }, identity.ErrIncorrect},
		{"another nonce", nil, func(v *identity.Visit) { v.Nonce = "another" }, identity.ErrIncorrect},
		{"another callback", nil, func(v *identity.Visit) { v.CallbackURL += "2" }, identity.ErrIncorrect},
		{"another client", func(o *oidc.Options) { o.ClientID, o.ClientSecret = "others", "their-secret" }, nil, identity.ErrIncorrect},
		{"a wrong secret", func(o *oidc.Options) { o.ClientSecret = "wrong-secret" }, nil, identity.ErrUnavailable},
	} {
		t.Run(test.name, func(t *testing.T) {
			address, err := provider(t, server.URL, nil).LoginURL(t.Context(), visit())
			if err != nil {
				t.Fatal(err)
			}
			back, returning := browse(t, address, "verysecure"), visit()
			if test.visit != nil {
				test.visit(&returning)
			}
			who, err := provider(t, server.URL, test.change).Return(t.Context(), returning, back)
			if !errors.Is(err, test.want) || who.Subject != "" {
				t.Errorf("got %+v, %v", who, err)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("it tells a secret: %v", err)
			}
		})
	}
}
