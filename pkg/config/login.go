package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// shortestSecret is the least HS256 asks for, in bytes (RFC 7518 §3.2).
const shortestSecret = 32

// issuerProblem is what is wrong with an issuer: it is the URL clients know this
// server by (OpenID Connect Discovery §3), which is put in front of the paths of all
// endpoints.
func issuerProblem(issuer string) string {
	parsed, err := url.Parse(issuer)
	switch {
	case issuer == "":
		return "must not be empty"
	case err != nil || parsed.Scheme != "https" && parsed.Scheme != "http" || parsed.Hostname() == "":
		return fmt.Sprintf("must be the URL clients reach this server by, such as https://ks.example.com, not %q", issuer)
	case parsed.RawQuery != "" || parsed.ForceQuery || parsed.Fragment != "" || strings.HasSuffix(issuer, "#"):
		return "must have neither a query nor a fragment"
	case parsed.User != nil:
		return "must not have a user name"
	}
	return ""
}

// validate reports what is wrong with the configuration of logins.
func (a *Authentication) validate(wrong func(format string, args ...any)) {
	const key = "authentication.oauthOptions."
	oauth := &a.OAuthOptions
	if problem := issuerProblem(oauth.Issuer); problem != "" {
		wrong("%sissuer %s", key, problem)
	}
	algorithms := []string{AlgorithmES256, AlgorithmRS256, AlgorithmEdDSA, AlgorithmHS256}
	if !slices.Contains(algorithms, oauth.SigningAlgorithm) {
		wrong(key+"signingAlgorithm must be one of %s, not %q", strings.Join(algorithms, ", "), oauth.SigningAlgorithm)
	}
	if (oauth.SigningAlgorithm == AlgorithmHS256 || oauth.AcceptHS256) && len(a.JWTSecret.Reveal()) < shortestSecret {
		wrong("authentication.jwtSecret must have at least %d bytes for HS256", shortestSecret)
	}
	if oauth.AccessTokenMaxAge.Duration <= 0 {
		wrong(key + "accessTokenMaxAge must be more than 0: tokens that never expire cannot be told apart from stolen ones")
	}
	if oauth.AccessTokenInactivityTimeout.Duration < 0 {
		wrong(key + "accessTokenInactivityTimeout must not be negative")
	}
	if oauth.SessionMaxAge.Duration <= 0 {
		wrong(key + "sessionMaxAge must be more than 0")
	}
	names := make(map[string]bool)
	for n := range oauth.Clients {
		client := &oauth.Clients[n]
		if client.Name == "" {
			wrong(key+"clients[%d].name must not be empty", n)
		}
		if names[client.Name] {
			wrong(key+"clients: %q is there twice", client.Name)
		}
		names[client.Name] = true
		if methods := []string{"", GrantAuto, GrantPrompt, GrantDeny}; !slices.Contains(methods, client.GrantMethod) {
			wrong(key+"clients: grantMethod of %q must be auto, prompt or deny, not %q", client.Name, client.GrantMethod)
		}
		for _, uri := range slices.Concat(client.RedirectURIs, client.PostLogoutRedirectURIs) {
			if parsed, err := url.Parse(uri); uri != "*" && (err != nil || !parsed.IsAbs() || parsed.Fragment != "") {
				wrong(key+"clients: %q of %q is no absolute URL without a fragment", uri, client.Name)
			}
		}
	}
}
