package extensions

import (
	"net/http"
	"slices"
	"strings"
)

// identityHeaders are what authenticating proxies tell applications who a client is by;
// identityPrefixes are how more of them begin.
var (
	identityHeaders  = []string{"Remote-User", "Remote-Name", "Remote-Email", "Remote-Groups", "X-User", "X-Username", "X-Userid", "X-Email", "X-Groups", "X-Roles", "X-Auth-User", "X-Auth-Username", "X-Auth-Email", "X-Auth-Groups", "X-Ssl-Client-Verify"}
	identityPrefixes = []string{
		"X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Preferred-Username", "X-Forwarded-Groups", "X-Forwarded-Access-Token",
		"X-Forwarded-Client-Cert", "X-Forwarded-Tls-Client-Cert", "X-Auth-Request-", "X-Authenticated-", "X-Webauth-", "X-Token-", "X-Consumer-", "X-Credential-",
		"X-Authentik-", "X-Pomerium-", "X-Goog-Authenticated-User-", "X-Goog-Iap-", "X-Ms-Client-Principal", "X-Amzn-Oidc-", "X-Ssl-Client-", "Ssl-Client-",
		"Cf-Access-", "Tailscale-User-", "X-Vouch-",
	}
)

// removeIdentity removes what a client says of who it is: applications that are made for
// another proxy would believe it.
func removeIdentity(header http.Header) {
	for name := range header {
		plain := http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))
		if slices.Contains(identityHeaders, plain) || slices.ContainsFunc(identityPrefixes, func(prefix string) bool { return strings.HasPrefix(plain, prefix) }) {
			delete(header, name)
		}
	}
}
