package cli

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// service is a token service for one user, as strict as RFC 6749, 7636, 8252,
// 8628 and 7009 ask.
type service struct {
	*httptest.Server
	t *testing.T

	mu         sync.Mutex
	lifetime   int
	issuer     string
	codes      map[string]url.Values // authorization requests by code
	refresh    string                // the one that is good, "" for none
	numbers    int
	refreshes  int
	reused     int
	polls      int
	revoked    []string
	refuse     string // error of authorization requests
	noDocument bool
	broken     bool
}

func newService(t *testing.T) *service {
	t.Helper()
	s := &service{t: t, lifetime: 3600, codes: map[string]url.Values{}}
	s.Server = httptest.NewTLSServer(s)
	t.Cleanup(s.Close)
	s.issuer = s.URL
	return s
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = r.ParseForm()
	answer, code := s.answer(w, r)
	if answer == nil {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(answer)
}

func (s *service) answer(w http.ResponseWriter, r *http.Request) (any, int) {
	type object = map[string]any
	if s.broken {
		return object{"message": "away"}, http.StatusServiceUnavailable
	}
	form := r.PostForm
	if r.Method == http.MethodPost && form.Get("client_id") != "kubectl-ks" {
		return object{"error": "invalid_client", "error_description": "unknown\x1b[2J client"}, http.StatusUnauthorized
	}
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		if s.noDocument {
			return object{}, http.StatusNotFound
		}
		return object{
			"issuer": s.issuer, "authorization_endpoint": s.issuer + "/oauth/authorize", "token_endpoint": s.issuer + "/oauth/token",
			"device_authorization_endpoint": s.issuer + "/oauth/device_authorization", "revocation_endpoint": "https://evil.example.com/revoke", "userinfo_endpoint": s.issuer + "/oauth/userinfo",
		}, http.StatusOK
	case "/oauth/authorize":
		query := r.URL.Query()
		back, err := url.Parse(query.Get("redirect_uri"))
		if err != nil || back.Scheme != "http" || back.Hostname() != "127.0.0.1" || back.Path != "/callback" || query.Get("code_challenge_method") != "S256" || query.Get("client_id") != "kubectl-ks" {
			return object{"error": "invalid_request"}, http.StatusBadRequest
		}
		answer := url.Values{"state": {query.Get("state")}, "iss": {s.issuer}}
		if s.refuse != "" {
			answer.Set("error", s.refuse)
		} else {
			s.numbers++
			code := fmt.Sprintf("code-%d", s.numbers)
			s.codes[code] = query
			answer.Set("code", code)
		}
		back.RawQuery = answer.Encode()
		http.Redirect(w, r, back.String(), http.StatusFound)
		return nil, 0
	case "/oauth/device_authorization":
		return object{"device_code": "device", "user_code": "ABCD-\x1bEFGH", "verification_uri": s.URL + "/device", "expires_in": 60, "interval": 1}, http.StatusOK
	case "/oauth/token":
		return s.token(form)
	case "/oauth/userinfo":
		if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer access-") {
			return object{"error": "login_required"}, http.StatusUnauthorized
		}
		return object{"sub": "jane", "preferred_username": "jane"}, http.StatusOK
	case "/oauth/revoke":
		s.revoked = append(s.revoked, form.Get("token"))
		return object{}, http.StatusOK
	}
	return object{}, http.StatusNotFound
}

func (s *service) token(form url.Values) (any, int) {
	invalid := map[string]any{"error": "invalid_grant", "error_description": "that is not right"}
	switch form.Get("grant_type") {
	case "password":
		if form.Get("username") != "jane" || form.Get("password") != "s3cr3t pass" || form.Get("provider") == "wrong" {
			return invalid, http.StatusBadRequest
		}
	case "authorization_code":
		asked := s.codes[form.Get("code")]
		delete(s.codes, form.Get("code"))
		sum := sha256.Sum256([]byte(form.Get("code_verifier")))
		if asked == nil || asked.Get("redirect_uri") != form.Get("redirect_uri") || asked.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(sum[:]) {
			return invalid, http.StatusBadRequest
		}
	case "urn:ietf:params:oauth:grant-type:device_code":
		if s.polls++; s.polls < 2 {
			return map[string]any{"error": "authorization_pending"}, http.StatusBadRequest
		}
		if form.Get("device_code") != "device" {
			return invalid, http.StatusBadRequest
		}
	case "refresh_token":
		s.refreshes++
		if given := form.Get("refresh_token"); given != s.refresh || given == "" {
			s.reused++
			return invalid, http.StatusBadRequest
		}
		time.Sleep(50 * time.Millisecond) // others want to as well
	default:
		return map[string]any{"error": "unsupported_grant_type"}, http.StatusBadRequest
	}
	s.numbers++
	s.refresh = fmt.Sprintf("refresh-%d", s.numbers)
	return map[string]any{"access_token": fmt.Sprintf("access-%d", s.numbers), "token_type": "Bearer", "refresh_token": s.refresh, "expires_in": s.lifetime}, http.StatusOK
}

// browse is a browser that goes where it is sent.
func (s *service) browse(address string) error {
	browser := s.Client()
	response, err := browser.Get(address)
	if err != nil {
		return err
	}
	return response.Body.Close()
}
