package registries

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	corev1 "k8s.io/api/core/v1"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// annotationInsecure is the one of secrets for registries without a certificate
// that can be checked, or without TLS.
const annotationInsecure = "secret.kubesphere.io/force-insecure"

// hub is the host of Docker's registry, which has several names.
const hub = "index.docker.io"

// credentials are what a secret says of registries.
type credentials struct {
	insecure bool
	auths    map[string]authn.AuthConfig // by host
}

// parse reads a secret for pulling images.
func parse(secret *corev1.Secret) (*credentials, error) {
	if secret.Type != corev1.SecretTypeDockerConfigJson {
		return nil, status.BadRequest("expected secret type: %s, got: %s", corev1.SecretTypeDockerConfigJson, secret.Type)
	}
	content, found := secret.Data[corev1.DockerConfigJsonKey]
	if !found {
		content, found = []byte(secret.StringData[corev1.DockerConfigJsonKey]), len(secret.StringData[corev1.DockerConfigJsonKey]) > 0
	}
	if !found {
		return nil, status.BadRequest("expected key %s in data, found none", corev1.DockerConfigJsonKey)
	}
	var config struct {
		Auths map[string]struct {
			Username      string `json:"username"`
			Password      string `json:"password"`
			Auth          string `json:"auth"`
			IdentityToken string `json:"identitytoken"`
			RegistryToken string `json:"registrytoken"`
		} `json:"auths"`
	}
	if json.Unmarshal(content, &config) != nil { // the error may quote a password
		return nil, status.BadRequest("%s is not what docker login writes", corev1.DockerConfigJsonKey)
	}
	c := &credentials{insecure: secret.Annotations[annotationInsecure] == "true", auths: make(map[string]authn.AuthConfig)}
	for server, auth := range config.Auths {
		one := authn.AuthConfig{Username: auth.Username, Password: auth.Password, IdentityToken: auth.IdentityToken, RegistryToken: auth.RegistryToken}
		if auth.Auth != "" {
			decoded, err := base64.StdEncoding.DecodeString(auth.Auth)
			user, password, split := strings.Cut(strings.TrimRight(string(decoded), "\x00\n"), ":")
			if err != nil || !split {
				return nil, status.BadRequest("the auth of %s is not a user name and a password in base64", host(server))
			}
			one.Username, one.Password = user, password
		}
		c.auths[host(server)] = one
	}
	return c, nil
}

// of returns what a registry is told.
func (c *credentials) of(registry string) authn.Authenticator {
	if auth, found := c.auths[host(registry)]; found {
		return authn.FromConfig(auth)
	}
	return authn.Anonymous
}

// host is that of a registry's address, which has a scheme and a path in the
// files docker writes.
func host(address string) string {
	address = strings.TrimPrefix(strings.TrimPrefix(address, "https://"), "http://")
	address, _, _ = strings.Cut(address, "/")
	switch address = strings.ToLower(address); address {
	case "docker.io", "registry-1.docker.io", "registry.hub.docker.com":
		return hub
	}
	return address
}
