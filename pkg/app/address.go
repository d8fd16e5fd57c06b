package app

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/url"
	"os"

	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/kapis/kubeconfig"
)

// address is how clients outside the cluster reach this server.
func (a *app) address(c *config.Config) kubeconfig.Address {
	return kubeconfig.Address{PublicURL: publicURL(c), SecurePort: c.Server.SecurePort, Authority: a.authority}
}

// publicURL is the configured address for clients outside the cluster: the
// issuer of tokens if there is no other, and it is one.
func publicURL(c *config.Config) string {
	if c.Server.PublicURL != "" {
		return c.Server.PublicURL
	}
	issuer := c.Authentication.OAuthOptions.Issuer
	if parsed, err := url.Parse(issuer); err == nil && config.IsHTTPS(issuer) && !kubeconfig.InCluster(parsed.Hostname()) {
		return issuer
	}
	return ""
}

// authority returns what clients check the certificate they are shown at a host
// by, in PEM: the configured file for the public address, else what signed the
// certificate of this server if that is for the host; nil for the certificates
// of the client's system.
func (a *app) authority(host string) ([]byte, error) {
	server := a.config.Server
	if public, err := url.Parse(publicURL(a.config)); err == nil && server.PublicCertificateAuthority != "" && public.Hostname() == host {
		authority, err := os.ReadFile(server.PublicCertificateAuthority)
		if err != nil {
			return nil, fmt.Errorf("configuration: server.publicCertificateAuthority: %w", err)
		}
		return authority, nil
	}
	switch {
	case a.certificate != nil:
		own, err := a.certificate.Certificate(nil)
		if err != nil || !covers(own, host) {
			return nil, err
		}
		return a.certificate.Authority()
	case server.TLSCertFile != "":
		content, err := os.ReadFile(server.TLSCertFile)
		if err != nil {
			return nil, err
		}
		own, err := tls.LoadX509KeyPair(server.TLSCertFile, server.TLSPrivateKey)
		if err != nil || !covers(&own, host) {
			return nil, err
		}
		return content, nil
	}
	return nil, nil
}

// covers reports whether a certificate is for a host.
func covers(certificate *tls.Certificate, host string) bool {
	if len(certificate.Certificate) == 0 {
		return false
	}
	leaf, err := x509.ParseCertificate(certificate.Certificate[0])
	return err == nil && leaf.VerifyHostname(host) == nil
}
