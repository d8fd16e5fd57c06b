package oauthclient

import (
	"errors"
	"fmt"
	"net/url"
	"slices"

	corev1 "k8s.io/api/core/v1"
	sigsjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/super-kubenetes/ks-apiserver/pkg/config"
)

// parse reads the client in a Secret and says what is wrong with it; the client is
// nil when it cannot be used at all. Nothing quotes the client's secret.
func parse(secret *corev1.Secret) (parsed *Client, problems []string) {
	parsed = &Client{}
	if err := yaml.Unmarshal(secret.Data[SecretKey], parsed); err != nil {
		return nil, []string{"the key " + SecretKey + " is not the YAML of an OAuth client"}
	}
	if parsed.Name == "" {
		return nil, []string{"name is missing"}
	}
	// Unknown keys do no harm, and are told: one may be misspelt.
	if encoded, err := yaml.YAMLToJSON(secret.Data[SecretKey]); err == nil {
		if unknown, err := sigsjson.UnmarshalStrict(encoded, &Client{}); err == nil && len(unknown) > 0 {
			problems = append(problems, errors.Join(unknown...).Error())
		}
	}
	if secret.Type != SecretType {
		problems = append(problems, "the type of the Secret is not "+string(SecretType))
	}
	return parsed, append(problems, parsed.problems()...)
}

// problems says which values of a client have no effect, or another one than meant.
func (c *Client) problems() (problems []string) {
	wrong := func(format string, values ...any) { problems = append(problems, fmt.Sprintf(format, values...)) }
	if !slices.Contains([]string{"", config.GrantAuto, config.GrantPrompt, config.GrantDeny}, c.GrantMethod) {
		wrong("grantMethod must be auto, prompt or deny")
	}
	for key, uris := range map[string][]string{"redirectURIs": c.RedirectURIs, "postLogoutRedirectURIs": c.PostLogoutRedirectURIs} {
		for n, uri := range uris {
			parsed, err := url.Parse(uri)
			switch {
			case uri == "*":
				wrong("%s[%d] is *, which stands for no address", key, n)
			case err != nil || !parsed.IsAbs() || parsed.Fragment != "" || parsed.User != nil:
				wrong("%s[%d] must be an absolute URL without a user name and a fragment", key, n)
			}
		}
	}
	if c.Public() && c.User != "" {
		wrong("user has no effect without a secret")
	}
	if c.AccessTokenMaxAgeSeconds < 0 || c.AccessTokenInactivityTimeoutSeconds < 0 {
		wrong("accessTokenMaxAgeSeconds and accessTokenInactivityTimeoutSeconds must not be negative")
	}
	slices.Sort(problems)
	return problems
}
