package login

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"golang.org/x/oauth2"

	"github.com/super-kubenetes/ks-apiserver/pkg/cli/tokens"
)

const (
	timeout = 30 * time.Second
	// plainTimeout is for a question whose answer only improves an error.
	plainTimeout = 5 * time.Second

	mostBytes = 1 << 20
)

// Service is the token service of a server, as it describes itself.
type Service struct {
	server   *url.URL
	clientID string
	http     *http.Client
	metadata metadata
}

// metadata are the parts of OpenID Connect Discovery that are needed.
type metadata struct {
	Issuer              string `json:"issuer"`
	Authorization       string `json:"authorization_endpoint"`
	Token               string `json:"token_endpoint"`
	DeviceAuthorization string `json:"device_authorization_endpoint"`
	Revocation          string `json:"revocation_endpoint"`
	UserInfo            string `json:"userinfo_endpoint"`
	// Secure is where a server that was asked without TLS has it.
	Secure string `json:"ks_https_address"`
}

// Server checks the address of a server: tokens are sent there.
func Server(address string) (*url.URL, error) {
	if !strings.Contains(address, "://") {
		address = "https://" + address
	}
	parsed, err := url.Parse(strings.TrimRight(address, "/"))
	if err != nil || parsed.Host == "" || parsed.User != nil || parsed.RawQuery != "" || parsed.Fragment != "" {
		return nil, errors.New("the address of the server is not like https://ks.example.com")
	}
	if ip := net.ParseIP(parsed.Hostname()); parsed.Scheme != "https" && (parsed.Scheme != "http" || parsed.Hostname() != "localhost" && !ip.IsLoopback()) {
		return nil, errors.New("the address of the server has to begin with https://, or the password would be sent in clear")
	}
	return parsed, nil
}

// Connect asks a server where its token service is.
func Connect(ctx context.Context, login *tokens.Login) (*Service, error) {
	server, err := Server(login.Server)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: login.InsecureSkipTLSVerify} //nolint:gosec // a flag says so
	if login.CertificateAuthority != "" {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM([]byte(login.CertificateAuthority)) {
			return nil, errors.New("there is no certificate in the certificate authority")
		}
	}
	s := &Service{server: server, clientID: login.ClientID, http: &http.Client{
		Timeout:       timeout,
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, ForceAttemptHTTP2: true, TLSHandshakeTimeout: timeout},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	code, err := s.get(ctx, s.at("/.well-known/openid-configuration"), "", &s.metadata)
	if err != nil {
		return nil, explainTrust(err, login)
	}
	if code != http.StatusOK && code != http.StatusNotFound {
		return nil, fmt.Errorf("%s answers with status %d", server, code)
	}
	for _, one := range []struct {
		endpoint *string
		standard string
	}{
		{&s.metadata.Authorization, "/oauth/authorize"}, {&s.metadata.Token, "/oauth/token"}, {&s.metadata.DeviceAuthorization, "/oauth/device_authorization"},
		{&s.metadata.Revocation, "/oauth/revoke"}, {&s.metadata.UserInfo, "/oauth/userinfo"},
	} {
		*one.endpoint = s.reachable(*one.endpoint, one.standard)
	}
	return s, nil
}

// explainTrust says what to do about a certificate that nothing on this machine
// vouches for.
func explainTrust(err error, login *tokens.Login) error {
	var unknown x509.UnknownAuthorityError
	if !errors.As(err, &unknown) {
		return err
	}
	if login.CertificateAuthority != "" {
		return fmt.Errorf("%w: the file of --certificate-authority does not have the authority that signed the certificate of %s", err, login.Server)
	}
	return fmt.Errorf("%w: name the file with the authority's certificate with --certificate-authority", err)
}

// RefusePlain is the error of an address without TLS. It names the address with
// TLS, if the server there says so.
func RefusePlain(ctx context.Context, server *url.URL) error {
	refusal := fmt.Sprintf("the address %s begins with http://, and kubectl sends tokens over HTTPS only", server)
	plain := &Service{server: server, http: &http.Client{Timeout: plainTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	if code, err := plain.get(ctx, plain.at("/.well-known/openid-configuration"), "", &plain.metadata); err == nil && code == http.StatusOK {
		for _, address := range []string{plain.metadata.Secure, plain.metadata.Issuer} {
			if secure, err := Server(address); err == nil && secure.Scheme == "https" && address != "" && secure.Hostname() == server.Hostname() {
				return fmt.Errorf("%s: run kubectl ks login %s", refusal, secure)
			}
		}
	}
	return fmt.Errorf("%s: use the server's address that begins with https:// (its --secure-port, or the proxy in front of it)", refusal)
}

func (s *Service) at(path string) string { return strings.TrimRight(s.server.String(), "/") + path }

// reachable is an endpoint at the address the server was given by. The server
// may call itself something else that is not reachable from here, and nothing
// is sent where the user has not said.
func (s *Service) reachable(endpoint, standard string) string {
	parsed, err := url.Parse(endpoint)
	if err == nil && parsed.Scheme == s.server.Scheme && parsed.Host == s.server.Host {
		return endpoint
	}
	if issuer, issuerErr := url.Parse(s.metadata.Issuer); err == nil && issuerErr == nil && endpoint != "" && parsed.Host == issuer.Host {
		if path, below := strings.CutPrefix(parsed.Path, strings.TrimRight(issuer.Path, "/")); below && strings.HasPrefix(path, "/") {
			return s.at(path)
		}
	}
	return s.at(standard)
}

func (s *Service) config() *oauth2.Config {
	return &oauth2.Config{
		ClientID: s.clientID, Scopes: []string{"openid", "profile", "email"},
		Endpoint: oauth2.Endpoint{AuthURL: s.metadata.Authorization, TokenURL: s.metadata.Token, DeviceAuthURL: s.metadata.DeviceAuthorization, AuthStyle: oauth2.AuthStyleInParams},
	}
}

func (s *Service) context(ctx context.Context) context.Context {
	return context.WithValue(ctx, oauth2.HTTPClient, s.http)
}

// get decodes the answer of an address that answers with 200.
func (s *Service) get(ctx context.Context, address, token string, into any) (code int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := s.http.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return response.StatusCode, nil
	}
	content, err := io.ReadAll(io.LimitReader(response.Body, mostBytes))
	if err == nil && json.Unmarshal(content, into) != nil {
		err = fmt.Errorf("what answers at %s is no ks-apiserver", s.server)
	}
	return response.StatusCode, err
}

// Password logs in with a name and a password, at an identity provider unless
// it is empty.
func (s *Service) Password(ctx context.Context, name, password, provider string) (*oauth2.Token, error) {
	form := url.Values{"grant_type": {"password"}, "username": {name}, "password": {password}, "client_id": {s.clientID}, "scope": {"openid profile email"}}
	if provider != "" {
		form.Set("provider", provider)
	}
	return s.post(ctx, form)
}

// post asks the token endpoint (RFC 6749 §5).
func (s *Service) post(ctx context.Context, form url.Values) (*oauth2.Token, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.metadata.Token, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := s.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, mostBytes))
	if err != nil {
		return nil, err
	}
	var answer struct {
		oauth2.Token
		Code        string `json:"error"`
		Description string `json:"error_description"`
	}
	if err := json.Unmarshal(content, &answer); err != nil {
		return nil, fmt.Errorf("the token service answers with status %d and no JSON", response.StatusCode)
	}
	if response.StatusCode != http.StatusOK || answer.AccessToken == "" {
		return nil, &Error{Code: answer.Code, Description: answer.Description, Status: response.StatusCode}
	}
	answer.Expiry = time.Now().Add(time.Duration(answer.ExpiresIn) * time.Second)
	return &answer.Token, nil
}

// Error is an error of the token service (RFC 6749 §5.2).
type Error struct {
	Code, Description string
	Status            int
}

func (e *Error) Error() string {
	switch {
	case e.Description != "":
		return printable(e.Description)
	case e.Code != "":
		return "the token service says " + printable(e.Code)
	}
	return fmt.Sprintf("the token service answers with status %d", e.Status)
}

// explain turns an error of x/oauth2, which repeats whole answers, into ours.
func explain(err error) error {
	var answer *oauth2.RetrieveError
	if !errors.As(err, &answer) {
		return err
	}
	return &Error{Code: answer.ErrorCode, Description: answer.ErrorDescription, Status: answer.Response.StatusCode}
}

// printable keeps what a server says from moving the cursor.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, text[:min(len(text), 500)])
}

// Refresh renews a login (RFC 6749 §6).
func Refresh(ctx context.Context, login *tokens.Login) (*tokens.Login, error) {
	s, err := Connect(ctx, login)
	if err != nil {
		return nil, err
	}
	token, err := s.post(ctx, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {login.RefreshToken}, "client_id": {s.clientID}})
	var refused *Error
	switch {
	case errors.As(err, &refused) && refused.Code == "invalid_grant":
		return nil, tokens.ErrNotLoggedIn
	case err != nil:
		return nil, err
	}
	return Renewed(login, token), nil
}

// Renewed is a login with new tokens.
func Renewed(login *tokens.Login, token *oauth2.Token) *tokens.Login {
	renewed := *login
	renewed.AccessToken, renewed.Expiry = token.AccessToken, token.Expiry
	if token.RefreshToken != "" {
		renewed.RefreshToken = token.RefreshToken
	}
	return &renewed
}

// Who is somebody who is logged in.
type Who struct {
	Subject  string   `json:"sub"`
	Username string   `json:"preferred_username"`
	Name     string   `json:"name"`
	Email    string   `json:"email"`
	Groups   []string `json:"groups"`
}

// WhoAmI asks who a token belongs to.
func (s *Service) WhoAmI(ctx context.Context, token string) (Who, error) {
	var who Who
	code, err := s.get(ctx, s.metadata.UserInfo, token, &who)
	switch {
	case err != nil:
		return who, err
	case code == http.StatusUnauthorized:
		return who, tokens.ErrNotLoggedIn
	case code != http.StatusOK:
		return who, fmt.Errorf("%s answers with status %d", s.server, code)
	}
	for _, text := range []*string{&who.Subject, &who.Username, &who.Name, &who.Email} {
		*text = printable(*text)
	}
	return who, nil
}

// Revoke ends a login at the server (RFC 7009).
func (s *Service) Revoke(ctx context.Context, login *tokens.Login) error {
	form := url.Values{"token": {login.RefreshToken}, "token_type_hint": {"refresh_token"}, "client_id": {s.clientID}}
	if login.RefreshToken == "" {
		form = url.Values{"token": {login.AccessToken}, "token_type_hint": {"access_token"}, "client_id": {s.clientID}}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.metadata.Revocation, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := s.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the token service answers with status %d", response.StatusCode)
	}
	return nil
}
