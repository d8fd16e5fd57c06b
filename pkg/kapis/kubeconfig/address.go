package kubeconfig

import (
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Address is how clients outside the cluster reach this server. kubectl sends
// tokens over HTTPS only.
type Address struct {
	// PublicURL is the configured address; empty for none.
	PublicURL string
	// SecurePort is the port for HTTPS of this server; 0 for none.
	SecurePort int
	// Authority returns the certificates, in PEM, by which clients check the one
	// they are shown at a host; none when those of the system do.
	Authority func(host string) ([]byte, error)
}

// PublicAuthority returns the certificates the public address is checked by.
func (a *Address) PublicAuthority() ([]byte, error) {
	parsed, err := url.Parse(a.PublicURL)
	if err != nil {
		return nil, err
	}
	return a.Authority(parsed.Hostname())
}

// unknownAddress is what is said in a kubeconfig whose address is a guess.
const unknownAddress = "the address of this server for clients outside the cluster is not configured (server.publicURL), that of this kubeconfig is derived from a request to http://%s and may not work"

// cluster is the server a kubeconfig is for, and whether its address is known
// to work. The address a request came to is that of the client only if it came
// over TLS: a console sends requests by a name of its own, over HTTP.
func (a *Address) cluster(r *http.Request) (cluster *clientcmdapi.Cluster, known bool, err error) {
	cluster = clientcmdapi.NewCluster()
	host := hostname(r.Host)
	switch {
	case a.PublicURL != "":
		parsed, err := url.Parse(a.PublicURL)
		if err != nil {
			return nil, false, err
		}
		cluster.Server, host, known = strings.TrimSuffix(a.PublicURL, "/"), parsed.Hostname(), true
	case r.TLS != nil:
		cluster.Server, known = "https://"+r.Host, !InCluster(host)
	case r.Header.Get("X-Forwarded-Proto") == "https" && !InCluster(host):
		cluster.Server = "https://" + r.Host
	case a.SecurePort != 0:
		cluster.Server = "https://" + net.JoinHostPort(host, strconv.Itoa(a.SecurePort))
	default:
		cluster.Server = "https://" + r.Host
	}
	cluster.CertificateAuthorityData, err = a.Authority(host)
	return cluster, known, err
}

func hostname(hostPort string) string {
	if host, _, err := net.SplitHostPort(hostPort); err == nil {
		return host
	}
	return strings.Trim(hostPort, "[]")
}

// InCluster reports whether a name means something within the cluster only: that
// of a Service.
func InCluster(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if host == "localhost" || net.ParseIP(host) != nil {
		return false
	}
	return !strings.Contains(host, ".") || strings.HasSuffix(host, ".svc") || strings.HasSuffix(host, ".cluster.local") || strings.Count(host, ".") == 1 && strings.HasSuffix(host, ".kubesphere-system")
}
