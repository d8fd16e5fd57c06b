// Package oidc lets people log in at providers of OpenID Connect, by the code
// flow with PKCE and a nonce. It implements identity.RedirectProvider.
package oidc
