package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubesphere.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// existing is what an installer of KubeSphere 3.4 writes.
const existing = `
authentication:
  authenticateRateLimiterMaxTries: 10
  authenticateRateLimiterDuration: 10m0s
  loginHistoryRetentionPeriod: 168h
  maximumClockSkew: 10s
  multipleLogin: False
  kubectlImage: kubesphere/kubectl:v1.20.0
  jwtSecret: "jwt-secret-1"
  oauthOptions:
    accessTokenMaxAge: 1h
    clients:
    - name: kubesphere
      secret: client-secret-1
      redirectURIs:
      - '*'
network:
  ippoolType: none
monitoring:
  endpoint: http://prometheus-operated.kubesphere-monitoring-system.svc:9090
metering:
  retentionDay: 30d
  billing:
    priceInfo:
      currencyUnit: EUR
      cpuPerCorePerHour: 0.5
      memPerGigabytesPerHour: 2
gateway:
  watchesPath: /var/helm-charts/watches.yaml
redis:
  host: redis.kubesphere-system.svc
  password: redis-secret-1
`

func TestLoadExistingFile(t *testing.T) {
	c, err := Load(write(t, existing), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	oauth := c.Authentication.OAuthOptions
	if oauth.AccessTokenMaxAge.Duration != time.Hour || oauth.AccessTokenInactivityTimeout.Duration != 2*time.Hour || oauth.Clients[0].Secret.Reveal() != "client-secret-1" {
		t.Errorf("got %+v", oauth)
	}
	if prices := c.Metering.Billing.PriceInfo; c.Metering.RetentionDay != "30d" || prices != (PriceInfo{CurrencyUnit: "EUR", CPUPerCorePerHour: 0.5, MemPerGigabytesPerHour: 2}) {
		t.Errorf("prices %+v", c.Metering)
	}
	if got := strings.Join(c.Unused(), " "); got != "authentication.jwtSecret redis monitoring" {
		t.Errorf("unused sections: %s", got)
	}
	printed, err := c.Print()
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"jwt-secret-1", "client-secret-1", "redis-secret-1"} {
		if strings.Contains(string(printed), secret) {
			t.Errorf("%s is printed", secret)
		}
	}
	if !strings.Contains(string(printed), "accessTokenMaxAge: 1h0m0s") {
		t.Errorf("the effective value is not printed:\n%s", printed)
	}
}

func TestLoadNamesWhatIsWrong(t *testing.T) {
	for _, test := range []struct{ name, content, message string }{
		// ks#5456: a key that is silently ignored is a bug.
		{"unknown key", "authentication:\n  multipelLogin: true\n", "authentication.multipelLogin"},
		{"unknown section", "authz: {}\n", "authz"},
		{"wrong case", "authentication:\n  MultipleLogin: true\n", "MultipleLogin"},
		{"key twice", "server: {}\nserver: {}\n", `key "server" already set`},
		{"wrong type", "server:\n  insecurePort: many\n", "insecurePort"},
		{"not YAML", "\t{", "yaml"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Load(write(t, test.content), nil)
			if err == nil || !strings.Contains(err.Error(), test.message) {
				t.Errorf("got %v, want an error with %q", err, test.message)
			}
		})
	}
	if _, err := Load(filepath.Join(t.TempDir(), "missing.yaml"), nil); err == nil {
		t.Error("a named file may not be missing")
	}
}

func TestEnvironment(t *testing.T) {
	c, err := Load(write(t, existing), []string{
		"KUBESPHERE_AUTHENTICATION_OAUTHOPTIONS_ISSUER=https://ks.example.com",
		"KUBESPHERE_AUTHENTICATION_OAUTHOPTIONS_ACCESSTOKENMAXAGE=15m",
		"KUBESPHERE_SERVER_INSECUREPORT=19090",
		"KUBESPHERE_SERVER_DEBUG=true",
		"KUBESPHERE_OBJECTS_ALWAYSON=[pods]",
		"KUBESPHERE_ADMIN_PASSWORD=a=b",
		"KUBESPHERE_SERVICE_HOST=10.0.0.1",
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.Authentication.OAuthOptions.Issuer != "https://ks.example.com" || c.Authentication.OAuthOptions.AccessTokenMaxAge.Duration != 15*time.Minute ||
		c.Server.InsecurePort != 19090 || !c.Server.Debug || len(c.Objects.AlwaysOn) != 1 || c.Authentication.AdminPassword.Reveal() != "a=b" {
		t.Errorf("got %+v", c)
	}
	for _, wrong := range []string{"KUBESPHERE_SERVER_DEBUG=perhaps", "KUBESPHERE_SERVER_INSECUREPORT=x", "KUBESPHERE_OBJECTS_IDLETIMEOUT=soon"} {
		if _, err := Load("", []string{wrong}); err == nil || !strings.Contains(err.Error(), strings.Split(wrong, "=")[0]) {
			t.Errorf("%s: got %v", wrong, err)
		}
	}
}

func TestValidate(t *testing.T) {
	for _, test := range []struct {
		message string
		change  func(*Config)
	}{
		{"server.insecurePort", func(c *Config) { c.Server.InsecurePort = 70000 }},
		{"belong together", func(c *Config) { c.Server.TLSCertFile = "tls.crt" }},
		{"authorization.mode", func(c *Config) { c.Authorization.Mode = "rbac" }},
		{"authorization.reservedNamespaces[1]", func(c *Config) { c.Authorization.ReservedNamespaces = []string{"cattle-*", "*"} }},
		{"authorization.reservedWorkspaces[0]", func(c *Config) { c.Authorization.ReservedWorkspaces = []string{"De_fault"} }},
		{"authorization.reservedNamespaceLabels[0]", func(c *Config) { c.Authorization.ReservedNamespaceLabels = []string{"*"} }},
		{"authorization.reservedNamespaceAnnotations[0]", func(c *Config) { c.Authorization.ReservedNamespaceAnnotations = []string{"a b"} }},
		{"issuer", func(c *Config) { c.Authentication.OAuthOptions.Issuer = "" }},
		{"accessTokenMaxAge", func(c *Config) { c.Authentication.OAuthOptions.AccessTokenMaxAge.Duration = 0 }},
		{"twice", func(c *Config) { c.Authentication.OAuthOptions.Clients = []Client{{Name: "a"}, {Name: "a"}} }},
		{"multicluster", func(c *Config) { c.Multicluster.Enable = true }},
		{"limits.workspacesPerUser must be", func(c *Config) { c.Limits.WorkspacesPerUser = -1 }},
		{"limits.consentsPerUser must be", func(c *Config) { c.Limits.ConsentsPerUser = -1 }},
		{"gateway.namespace", func(c *Config) { c.Gateway.Namespace = "" }},
		{"egress.allow[1]", func(c *Config) { c.Egress.Allow = []string{"*.example.com", "a b"} }},
		{"egress.deny[0]", func(c *Config) { c.Egress.Deny = []string{"example.com"} }},
		{"terminal.timeout", func(c *Config) { c.Terminal.Timeout = 0 }},
		{"terminal.maxPerUser", func(c *Config) { c.Terminal.MaxPerUser = 0 }},
		{"terminal.kubectl.namespace", func(c *Config) { c.Terminal.Kubectl.Namespace = "a/b" }},
		{"terminal.kubectl.idleTimeout", func(c *Config) { c.Terminal.Kubectl.IdleTimeout.Duration = 0 }},
		{"terminal.kubectl.server", func(c *Config) { c.Terminal.Kubectl.Server = "http://ks-apiserver" }},
	} {
		c := Default()
		test.change(c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), test.message) {
			t.Errorf("got %v, want %q", err, test.message)
		}
	}
	if err := Default().Validate(); err != nil {
		t.Errorf("the defaults are not valid: %v", err)
	}
}
