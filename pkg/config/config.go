package config

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Config is the content of kubesphere.yaml. Sections of type Section belong to
// features other services provide; they are accepted, so that the file of an
// existing installation can be used as it is, and reported as unused.
type Config struct {
	Authentication Authentication `json:"authentication"`
	Authorization  Authorization  `json:"authorization"`
	Kubernetes     Kubernetes     `json:"kubernetes"`
	Multicluster   Multicluster   `json:"multicluster"`
	Objects        Objects        `json:"objects"`
	Server         Server         `json:"server"`
	Metering       Metering       `json:"metering"`
	GPU            GPU            `json:"gpu"`
	Terminal       Terminal       `json:"terminal"`
	Egress         Egress         `json:"egress"`
	Gateway        Gateway        `json:"gateway"`
	Network        Network        `json:"network"`
	Limits         Limits         `json:"limits"`

	DevOps       Section `json:"devops,omitempty"`
	SonarQube    Section `json:"sonarQube,omitempty"`
	ServiceMesh  Section `json:"servicemesh,omitempty"`
	LDAP         Section `json:"ldap,omitempty"`
	Redis        Section `json:"redis,omitempty"`
	Cache        Section `json:"cache,omitempty"`
	S3           Section `json:"s3,omitempty"`
	OpenPitrix   Section `json:"openpitrix,omitempty"`
	Monitoring   Section `json:"monitoring,omitempty"`
	Logging      Section `json:"logging,omitempty"`
	Events       Section `json:"events,omitempty"`
	Auditing     Section `json:"auditing,omitempty"`
	Alerting     Section `json:"alerting,omitempty"`
	Notification Section `json:"notification,omitempty"`
	KubeEdge     Section `json:"kubeedge,omitempty"`
	EdgeRuntime  Section `json:"edgeruntime,omitempty"`
}

// Authentication says who may log in and how.
type Authentication struct {
	// AuthenticateRateLimiterMaxTries is the number of failed logins before a
	// user has to wait.
	AuthenticateRateLimiterMaxTries int `json:"authenticateRateLimiterMaxTries"`
	// AuthenticateRateLimiterDuration is how long failed logins are remembered.
	AuthenticateRateLimiterDuration metav1.Duration `json:"authenticateRateLimiterDuration"`
	// MaximumClockSkew is how far the clocks of replicas may be apart.
	MaximumClockSkew metav1.Duration `json:"maximumClockSkew"`
	// LoginHistoryRetentionPeriod is how long login records are kept.
	LoginHistoryRetentionPeriod metav1.Duration `json:"loginHistoryRetentionPeriod"`
	// LoginHistoryMaximumEntries is how many login records a user keeps.
	LoginHistoryMaximumEntries int `json:"loginHistoryMaximumEntries"`
	// MultipleLogin allows a user to be logged in more than once.
	MultipleLogin bool `json:"multipleLogin"`
	// MaxTokensPerUser is how many personal access tokens a user has at the most. 0
	// is no bound.
	MaxTokensPerUser int `json:"maxTokensPerUser"`
	// JWTSecret is the shared secret of KubeSphere 3.x, with which tokens are
	// signed if the signing algorithm is HS256, and accepted if AcceptHS256 says so.
	JWTSecret Secret `json:"jwtSecret"`
	// KubectlImage is the image of the web terminal.
	KubectlImage string `json:"kubectlImage,omitempty"`
	// AdminPassword is the password user admin gets when it is created. One is
	// generated when it is empty.
	AdminPassword Secret `json:"adminPassword"`
	// PasswordPolicy says which passwords users may choose.
	PasswordPolicy PasswordPolicy `json:"passwordPolicy"`
	// PasswordHash says how passwords are stored.
	PasswordHash PasswordHash `json:"passwordHash"`
	// ServiceAccountTokens accepts tokens of the cluster's service accounts, which
	// Kubernetes is asked about. They have the rights of RBAC alone.
	ServiceAccountTokens bool `json:"serviceAccountTokens"`
	// OAuthOptions configure the token service.
	OAuthOptions OAuth `json:"oauthOptions"`
}

// PasswordPolicy says which passwords users may choose, beside that none may be
// one of the most common, nor the user's name or e-mail address.
type PasswordPolicy struct {
	// MinLength is the least length, in characters.
	MinLength int `json:"minLength"`
	// EnforceFirstChange lets users whose password somebody else chose do nothing
	// but change it. KubeSphere leaves that to the console.
	EnforceFirstChange bool `json:"enforceFirstChange"`
}

// PasswordHash says how passwords are stored. Those stored in another way get
// a new hash when their user logs in.
type PasswordHash struct {
	// Algorithm is bcrypt or argon2id.
	Algorithm string `json:"algorithm"`
	// BcryptCost is the binary logarithm of the work, 10 to 16.
	BcryptCost int `json:"bcryptCost"`
}

// Algorithms of PasswordHash.
const (
	HashBcrypt   = "bcrypt"
	HashArgon2id = "argon2id"
)

// OAuth configures the token service.
type OAuth struct {
	// Issuer is the "iss" of tokens: the URL clients know this server by.
	Issuer string `json:"issuer"`
	// SigningAlgorithm is how tokens are signed: ES256, RS256, EdDSA, or HS256
	// with JWTSecret. Keys are made and changed without further ado.
	SigningAlgorithm string `json:"signingAlgorithm"`
	// AcceptHS256 accepts tokens signed with JWTSecret, for as long as some are
	// valid after another algorithm was chosen.
	AcceptHS256 bool `json:"acceptHS256,omitempty"`
	// PasswordGrant lets trusted clients exchange passwords for tokens.
	PasswordGrant bool `json:"passwordGrant"`
	// ProductName is what the pages for logging in call the product.
	ProductName string `json:"productName"`
	// MaxSessionsPerUser is how many sessions a user has at the most: a further login
	// ends the one that was not used for the longest time. 0 is no bound.
	MaxSessionsPerUser int `json:"maxSessionsPerUser"`
	// SessionMaxAge is how long a login lasts at the most, whatever its use.
	SessionMaxAge metav1.Duration `json:"sessionMaxAge"`
	// SignKey and SignKeyData are the signing key of KubeSphere 3.x. They are
	// accepted so that an existing file can be used; keys are kept in a Secret.
	SignKey     string `json:"signKey,omitempty"`
	SignKeyData Secret `json:"signKeyData,omitempty"`
	// IdentityProviders are where users other than local ones come from.
	IdentityProviders []IdentityProvider `json:"identityProviders,omitempty"`
	// Clients may ask for tokens, beside those kept in Secrets.
	Clients []Client `json:"clients,omitempty"`
	// AccessTokenMaxAge is how long an access token is valid.
	AccessTokenMaxAge metav1.Duration `json:"accessTokenMaxAge"`
	// AccessTokenInactivityTimeout is how much longer than the access token
	// a session can be refreshed.
	AccessTokenInactivityTimeout metav1.Duration `json:"accessTokenInactivityTimeout"`
}

// IdentityProvider is a source of users.
type IdentityProvider struct {
	Name string `json:"name"`
	// Title, or DisplayName as KubeSphere 4 calls it, is shown instead of Name.
	Title       string `json:"title,omitempty"`
	DisplayName string `json:"displayName,omitempty"`
	Type        string `json:"type"`
	// Disabled providers let nobody in, Hidden ones are not offered.
	Disabled bool `json:"disabled,omitempty"`
	Hidden   bool `json:"hidden,omitempty"`
	// MappingMethod is auto, lookup, manual or mixed.
	MappingMethod            string `json:"mappingMethod,omitempty"`
	DisableLoginConfirmation bool   `json:"disableLoginConfirmation,omitempty"`
	// GroupMapping are the names of groups by what the provider calls them.
	GroupMapping map[string]string `json:"groupMapping,omitempty"`
	Provider     Section           `json:"provider,omitempty"`
}

// Client is an OAuth client.
type Client struct {
	Name                  string   `json:"name"`
	Secret                Secret   `json:"secret,omitempty"`
	RespondWithChallenges bool     `json:"respondWithChallenges,omitempty"`
	RedirectURIs          []string `json:"redirectURIs,omitempty"`
	// PostLogoutRedirectURIs are where a browser may go after logging out, beside RedirectURIs.
	PostLogoutRedirectURIs []string `json:"postLogoutRedirectURIs,omitempty"`
	// User is whom the client acts for with its own credentials.
	User                         string           `json:"user,omitempty"`
	GrantMethod                  string           `json:"grantMethod,omitempty"`
	ScopeRestrictions            []string         `json:"scopeRestrictions,omitempty"`
	AccessTokenMaxAge            *metav1.Duration `json:"accessTokenMaxAge,omitempty"`
	AccessTokenInactivityTimeout *metav1.Duration `json:"accessTokenInactivityTimeout,omitempty"`
}

// Kubernetes says how to reach kube-apiserver. In a pod nothing needs to be set.
type Kubernetes struct {
	KubeConfig string  `json:"kubeconfig,omitempty"`
	Master     string  `json:"master,omitempty"`
	QPS        float32 `json:"qps,omitempty"`
	Burst      int     `json:"burst,omitempty"`
}

// Multicluster configures requests to other clusters.
type Multicluster struct {
	Enable                        bool            `json:"enable,omitempty"`
	EnableFederation              bool            `json:"enableFederation,omitempty"`
	ProxyPublishService           string          `json:"proxyPublishService,omitempty"`
	ProxyPublishAddress           string          `json:"proxyPublishAddress,omitempty"`
	AgentImage                    string          `json:"agentImage,omitempty"`
	HostClusterName               string          `json:"hostClusterName,omitempty"`
	ClusterRole                   string          `json:"clusterRole,omitempty"`
	ClusterControllerResyncPeriod metav1.Duration `json:"clusterControllerResyncPeriod,omitempty"`
}

// Objects configures the list engine.
type Objects struct {
	// AlwaysOn are resource types that are read from the start.
	AlwaysOn []string `json:"alwaysOn"`
	// IdleTimeout is how long a type is kept that nobody asks for; 0 for ever.
	IdleTimeout metav1.Duration `json:"idleTimeout"`
	// SyncTimeout bounds how long a request waits for a type's first read.
	SyncTimeout metav1.Duration `json:"syncTimeout"`
}

// Metering says what the use of resources costs; nothing is measured here.
type Metering struct {
	// RetentionDay is how long measurements are kept, such as 7d.
	RetentionDay string  `json:"retentionDay"`
	Billing      Billing `json:"billing"`
}

// Billing is what is paid for.
type Billing struct {
	PriceInfo PriceInfo `json:"priceInfo"`
}

// PriceInfo are prices in a currency; 0 is nothing.
type PriceInfo struct {
	CurrencyUnit                             string  `json:"currencyUnit"`
	CPUPerCorePerHour                        float64 `json:"cpuPerCorePerHour"`
	MemPerGigabytesPerHour                   float64 `json:"memPerGigabytesPerHour"`
	IngressNetworkTrafficPerMegabytesPerHour float64 `json:"ingressNetworkTrafficPerMegabytesPerHour"`
	EgressNetworkTrafficPerMegabytesPerHour  float64 `json:"egressNetworkTrafficPerMegabytesPerHour"`
	PVCPerGigabytesPerHour                   float64 `json:"pvcPerGigabytesPerHour"`
}

// GPU names the kinds of graphics processors there are.
type GPU struct {
	Kinds []GPUKind `json:"kinds,omitempty"`
}

// GPUKind is a resource of nodes that stands for graphics processors.
type GPUKind struct {
	ResourceName string `json:"resourceName" description:"Name of the resource, such as nvidia.com/gpu."`
	ResourceType string `json:"resourceType" description:"What it is, such as GPU."`
	// Default is whether forms suggest it.
	Default bool `json:"default" description:"Whether forms suggest it."`
}

// Server configures the HTTP server.
type Server struct {
	BindAddress  string `json:"bindAddress"`
	InsecurePort int    `json:"insecurePort"`
	SecurePort   int    `json:"securePort"`
	// PublicURL is the https:// address clients outside the cluster reach this
	// server by, as kubeconfigs have it. If empty it is the issuer of tokens, when
	// that is such an address.
	PublicURL string `json:"publicURL,omitempty"`
	// PublicCertificateAuthority is a file of certificates in PEM that address is
	// checked by. If empty it is what signed the certificate of this server, when
	// that is for the host of the address; else clients use those of their system.
	PublicCertificateAuthority string `json:"publicCertificateAuthority,omitempty"`
	// TLSCertFile and TLSPrivateKey are for the secure port. Without, a
	// certificate for the names within the cluster is made and kept in a Secret.
	TLSCertFile   string `json:"tlsCertFile,omitempty"`
	TLSPrivateKey string `json:"tlsPrivateKey,omitempty"`
	// Debug logs more.
	Debug bool `json:"debug"`
	// MaxBodyBytes bounds the body of requests this server reads itself.
	MaxBodyBytes int64 `json:"maxBodyBytes"`
	// MaxRequestsInFlight bounds the requests served at the same time;
	// MaxRequestsInFlightPerUser those of each user, and those of all clients
	// together that have not authenticated, of which MaxUnauthenticatedInFlight are
	// served and half of them for one address. 0 is no bound of its own.
	MaxRequestsInFlight        int `json:"maxRequestsInFlight"`
	MaxRequestsInFlightPerUser int `json:"maxRequestsInFlightPerUser"`
	MaxUnauthenticatedInFlight int `json:"maxUnauthenticatedInFlight"`
	// MaxLongRunning and MaxLongRunningPerUser bound watches, logs, files on their
	// way and upgraded connections. 0 is no bound.
	MaxLongRunning        int `json:"maxLongRunning"`
	MaxLongRunningPerUser int `json:"maxLongRunningPerUser"`
	// MaxConnections bounds the open connections; those that wait for a request
	// are closed when there are more. 0 is no bound.
	MaxConnections int `json:"maxConnections"`
	// TrustedProxies are addresses or CIDR ranges of proxies whose headers
	// X-Forwarded-For, X-Real-Ip and X-Client-Ip tell where requests come from.
	TrustedProxies []string `json:"trustedProxies,omitempty"`
	// ShutdownTimeout bounds how long requests may go on after a stop signal.
	ShutdownTimeout metav1.Duration `json:"shutdownTimeout"`
}

// Default returns the configuration used when nothing is configured.
func Default() *Config {
	return &Config{
		Authentication: Authentication{
			AuthenticateRateLimiterMaxTries: 5,
			AuthenticateRateLimiterDuration: duration(30 * time.Minute),
			MaximumClockSkew:                duration(10 * time.Second),
			LoginHistoryRetentionPeriod:     duration(168 * time.Hour),
			LoginHistoryMaximumEntries:      100,
			MultipleLogin:                   true,
			ServiceAccountTokens:            true,
			MaxTokensPerUser:                100,
			KubectlImage:                    "kubesphere/kubectl:v1.27.16",
			PasswordPolicy:                  PasswordPolicy{MinLength: 8},
			PasswordHash:                    PasswordHash{Algorithm: HashBcrypt, BcryptCost: 10},
			OAuthOptions: OAuth{
				Issuer:                       "http://ks-apiserver.kubesphere-system.svc",
				SigningAlgorithm:             AlgorithmES256,
				PasswordGrant:                true,
				ProductName:                  "KubeSphere",
				MaxSessionsPerUser:           500,
				SessionMaxAge:                duration(168 * time.Hour),
				AccessTokenMaxAge:            duration(2 * time.Hour),
				AccessTokenInactivityTimeout: duration(2 * time.Hour),
			},
		},
		Authorization: Authorization{Mode: ModeRBAC},
		Metering:      Metering{RetentionDay: "7d"},
		Objects: Objects{
			AlwaysOn:    []string{"namespaces", "nodes", "pods"},
			IdleTimeout: duration(time.Hour),
			SyncTimeout: duration(10 * time.Second),
		},
		Terminal: Terminal{
			Image: "alpine:3.22", Timeout: 600, MaxLifetime: duration(12 * time.Hour), MaxPerUser: 20, MaxOpen: 400, MaxFileBytes: 100 << 20,
			Kubectl: Kubectl{Namespace: "kubesphere-terminals", IdleTimeout: duration(15 * time.Minute)},
		},
		Gateway: Gateway{Namespace: "kubesphere-controls-system"},
		Network: Network{EnableNetworkPolicy: true, NSNPOptions: NSNPOptions{
			AllowedIngressNamespaces: []string{"kubesphere-controls-system", "kubesphere-monitoring-system", "kubesphere-system"},
		}},
		Limits: defaultLimits(),
		Server: Server{
			BindAddress:         "0.0.0.0",
			InsecurePort:        9090,
			MaxBodyBytes:        3 << 20,
			MaxRequestsInFlight: 400, MaxRequestsInFlightPerUser: 100, MaxUnauthenticatedInFlight: 100,
			MaxLongRunning: 4000, MaxLongRunningPerUser: 600, MaxConnections: 5000,
			ShutdownTimeout: duration(10 * time.Second),
		},
	}
}

func duration(d time.Duration) metav1.Duration { return metav1.Duration{Duration: d} }

// Algorithms tokens are signed with.
const (
	AlgorithmES256 = "ES256"
	AlgorithmRS256 = "RS256"
	AlgorithmEdDSA = "EdDSA"
	AlgorithmHS256 = "HS256"
)

// Ways of clients to ask users whether they agree.
const (
	GrantAuto   = "auto"
	GrantPrompt = "prompt"
	GrantDeny   = "deny"
)
