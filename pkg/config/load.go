package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	sigsjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// EnvironmentPrefix is what the names of environment variables begin with.
const EnvironmentPrefix = "KUBESPHERE_"

// adminPasswordVariable is a short name for authentication.adminPassword.
const adminPasswordVariable = EnvironmentPrefix + "ADMIN_PASSWORD"

// DefaultPath is where the file is looked for when none is named.
const DefaultPath = "/etc/kubesphere/kubesphere.yaml"

// Load reads the file at path over the defaults, then the environment as
// given by os.Environ. An empty path means DefaultPath, which may be missing.
// The result is not validated yet, since flags may still change it.
func Load(path string, environment []string) (*Config, error) {
	result := Default()
	optional := path == ""
	if optional {
		path = DefaultPath
	}
	content, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	switch {
	case err == nil:
		if err := decode(content, result); err != nil {
			return nil, fmt.Errorf("configuration file %s: %w", path, err)
		}
	case optional && errors.Is(err, os.ErrNotExist):
	default:
		return nil, fmt.Errorf("configuration file: %w", err)
	}
	if err := result.applyEnvironment(environment); err != nil {
		return nil, err
	}
	return result, nil
}

func decode(content []byte, into *Config) error {
	asJSON, err := yaml.YAMLToJSONStrict(content)
	if err != nil {
		return err
	}
	if string(asJSON) == "null" { // an empty file
		return nil
	}
	unknown, err := sigsjson.UnmarshalStrict(asJSON, into)
	if err != nil {
		return err
	}
	return errors.Join(unknown...)
}

// applyEnvironment sets values from variables: KUBESPHERE_ and the path of the
// key in upper case, joined by underscores.
// Other variables with the prefix, such as those Kubernetes injects for
// services, are left alone.
func (c *Config) applyEnvironment(environment []string) error {
	leaves := make(map[string]reflect.Value)
	collect(reflect.ValueOf(c).Elem(), strings.TrimSuffix(EnvironmentPrefix, "_"), leaves)
	leaves[adminPasswordVariable] = reflect.ValueOf(&c.Authentication.AdminPassword).Elem()
	for _, entry := range environment {
		name, value, _ := strings.Cut(entry, "=")
		if leaf, found := leaves[name]; found {
			if err := set(leaf, value); err != nil {
				return fmt.Errorf("environment variable %s: %w", name, err)
			}
		}
	}
	return nil
}

func collect(value reflect.Value, name string, into map[string]reflect.Value) {
	for n := range value.NumField() {
		field := value.Field(n)
		key, _, _ := strings.Cut(value.Type().Field(n).Tag.Get("json"), ",")
		fieldName := name + "_" + strings.ToUpper(key)
		if field.Kind() == reflect.Struct && field.Type() != reflect.TypeFor[metav1.Duration]() {
			collect(field, fieldName, into)
			continue
		}
		into[fieldName] = field
	}
}

// set decodes a text into a leaf. Lists and sections are given as YAML.
func set(leaf reflect.Value, text string) error {
	switch leaf.Kind() {
	case reflect.String:
		leaf.SetString(text)
		return nil
	case reflect.Bool:
		value, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q is not true or false", text)
		}
		leaf.SetBool(value)
		return nil
	}
	encoded := []byte(text)
	if leaf.Type() == reflect.TypeFor[metav1.Duration]() {
		encoded, _ = json.Marshal(text)
	}
	asJSON, err := yaml.YAMLToJSONStrict(encoded)
	if err != nil {
		return err
	}
	return sigsjson.UnmarshalCaseSensitivePreserveInts(asJSON, leaf.Addr().Interface())
}

// Validate reports everything that is wrong with the configuration.
func (c *Config) Validate() error {
	var problems []error
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	port := func(key string, value int) {
		if value < 0 || value > 65535 {
			wrong("%s must be between 0 and 65535, not %d", key, value)
		}
	}
	port("server.insecurePort", c.Server.InsecurePort)
	port("server.securePort", c.Server.SecurePort)
	if (c.Server.TLSCertFile == "") != (c.Server.TLSPrivateKey == "") {
		wrong("server.tlsCertFile and server.tlsPrivateKey belong together")
	}
	if c.Server.PublicURL != "" && !IsHTTPS(c.Server.PublicURL) {
		wrong("server.publicURL must be an https:// address: kubectl sends tokens to nothing else")
	}
	if c.Server.MaxBodyBytes <= 0 {
		wrong("server.maxBodyBytes must be more than 0")
	}
	if c.Server.MaxRequestsInFlight <= 0 {
		wrong("server.maxRequestsInFlight must be more than 0")
	}
	for key, value := range map[string]int{
		"server.maxRequestsInFlightPerUser": c.Server.MaxRequestsInFlightPerUser, "server.maxUnauthenticatedInFlight": c.Server.MaxUnauthenticatedInFlight,
		"server.maxLongRunning": c.Server.MaxLongRunning, "server.maxLongRunningPerUser": c.Server.MaxLongRunningPerUser, "server.maxConnections": c.Server.MaxConnections,
		"authentication.maxTokensPerUser": c.Authentication.MaxTokensPerUser, "authentication.oauthOptions.maxSessionsPerUser": c.Authentication.OAuthOptions.MaxSessionsPerUser,
	} {
		if value < 0 {
			wrong("%s must be 0 or more", key)
		}
	}
	c.Authorization.validate(wrong)
	c.Terminal.validate(wrong)
	c.Egress.validate(wrong)
	c.Gateway.validate(wrong)
	c.Network.validate(wrong)
	c.Limits.validate(wrong)
	for n, kind := range c.GPU.Kinds {
		if kind.ResourceName == "" {
			wrong("gpu.kinds[%d].resourceName must not be empty", n)
		}
	}
	for n, proxy := range c.Server.TrustedProxies {
		if _, err := ParseRange(proxy); err != nil {
			wrong("server.trustedProxies[%d]: %q is neither an IP address nor a CIDR range", n, proxy)
		}
	}
	authentication := c.Authentication
	if authentication.AuthenticateRateLimiterMaxTries < 1 {
		wrong("authentication.authenticateRateLimiterMaxTries must be 1 or more")
	}
	if authentication.AuthenticateRateLimiterDuration.Duration <= 0 {
		wrong("authentication.authenticateRateLimiterDuration must be more than 0")
	}
	if n := authentication.PasswordPolicy.MinLength; n < 8 || n > 64 {
		wrong("authentication.passwordPolicy.minLength must be between 8 and 64, not %d", n)
	}
	if algorithms := []string{HashBcrypt, HashArgon2id}; !slices.Contains(algorithms, authentication.PasswordHash.Algorithm) {
		wrong("authentication.passwordHash.algorithm must be one of %s, not %q", strings.Join(algorithms, ", "), authentication.PasswordHash.Algorithm)
	}
	if n := authentication.PasswordHash.BcryptCost; n < 10 || n > 16 {
		wrong("authentication.passwordHash.bcryptCost must be between 10 and 16, not %d", n)
	}
	if len(c.Authentication.AdminPassword) > 72 {
		wrong("authentication.adminPassword has more than 72 bytes, which bcrypt would ignore")
	}
	c.Authentication.validate(wrong)
	if c.Multicluster.Enable {
		wrong("multicluster.enable: this version serves a single cluster")
	}
	return errors.Join(problems...)
}

// ParseRange reads an IP address or a CIDR range.
func ParseRange(text string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	return netip.ParsePrefix(text)
}

// Unused returns what is set but has no effect in this version, so that
// nothing is ignored silently.
func (c *Config) Unused() []string {
	var names []string
	if oauth := c.Authentication.OAuthOptions; c.Authentication.JWTSecret != "" && oauth.SigningAlgorithm != AlgorithmHS256 && !oauth.AcceptHS256 {
		names = append(names, "authentication.jwtSecret")
	}
	value := reflect.ValueOf(c).Elem()
	for n := range value.NumField() {
		if value.Field(n).Type() == reflect.TypeFor[Section]() && value.Field(n).Len() > 0 {
			key, _, _ := strings.Cut(value.Type().Field(n).Tag.Get("json"), ",")
			names = append(names, key)
		}
	}
	return append(names, c.Network.unused()...)
}

// Print encodes the configuration as YAML with secrets masked.
func (c *Config) Print() ([]byte, error) { return yaml.Marshal(c) }
