package ldap

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity/outbound"
)

// Type is the type of these providers in the configuration.
const Type = "LDAPIdentityProvider"

// Options are the provider section of the configuration, as KubeSphere 3.x
// names them.
type Options struct {
	// Host is HOST:PORT, or ldap://HOST:PORT, or ldaps://HOST:PORT.
	Host string `json:"host"`
	// ReadTimeout bounds a login, in milliseconds.
	ReadTimeout int `json:"readTimeout"`
	// StartTLS encrypts the connection: at the ports of ldaps from its first
	// byte on, which is all KubeSphere 3.x does with it, else by StartTLS.
	StartTLS           bool   `json:"startTLS"`
	InsecureSkipVerify bool   `json:"insecureSkipVerify"`
	RootCA             string `json:"rootCA"`
	RootCAData         string `json:"rootCAData"`
	// ManagerDN and ManagerPassword are who looks people up; nobody if empty.
	ManagerDN       string        `json:"managerDN"`
	ManagerPassword config.Secret `json:"managerPassword"`
	// UserSearchBase and UserSearchFilter say which entries are people.
	UserSearchBase   string `json:"userSearchBase"`
	UserSearchFilter string `json:"userSearchFilter"`
	// GroupSearchBase and GroupSearchFilter say which entries are groups.
	// Without a base, the groups are those of the person's memberOf.
	GroupSearchBase   string `json:"groupSearchBase"`
	GroupSearchFilter string `json:"groupSearchFilter"`
	// UserMemberAttribute of the person is what GroupMemberAttribute of a group
	// has for its members: the DN and member, unless told otherwise.
	UserMemberAttribute  string `json:"userMemberAttribute"`
	GroupMemberAttribute string `json:"groupMemberAttribute"`
	// LoginAttribute is what people type to log in, MailAttribute their address.
	LoginAttribute string `json:"loginAttribute"`
	MailAttribute  string `json:"mailAttribute"`
}

const (
	defaultTimeout = 15 * time.Second
	longestTimeout = time.Minute
)

// attribute is the name of an attribute (RFC 4512 §1.4), which is put into filters.
var attribute = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,63}$|^[0-9]+(\.[0-9]+){1,31}$`)

// New returns a provider; it connects when somebody logs in. Errors name
// options, never their values.
func New(options Options) (*Provider, error) {
	address, encryption, err := endpoint(options.Host, options.StartTLS)
	if err != nil {
		return nil, err
	}
	p := &Provider{options: options, address: address, encryption: encryption, timeout: defaultTimeout}
	if options.ReadTimeout < 0 {
		return nil, errors.New("readTimeout must not be negative")
	}
	if options.ReadTimeout > 0 {
		p.timeout = min(time.Duration(options.ReadTimeout)*time.Millisecond, longestTimeout)
	}
	if options.LoginAttribute == "" {
		p.options.LoginAttribute = "uid"
	}
	if options.MailAttribute == "" {
		p.options.MailAttribute = "mail"
	}
	if options.GroupMemberAttribute == "" {
		p.options.GroupMemberAttribute = "member"
	}
	for name, value := range map[string]string{
		"loginAttribute": p.options.LoginAttribute, "mailAttribute": p.options.MailAttribute, "groupMemberAttribute": p.options.GroupMemberAttribute,
	} {
		if !attribute.MatchString(value) {
			return nil, fmt.Errorf("%s is not the name of an attribute", name)
		}
	}
	if value := options.UserMemberAttribute; value != "" && !attribute.MatchString(value) {
		return nil, errors.New("userMemberAttribute is not the name of an attribute")
	}
	for name, value := range map[string]*string{"userSearchFilter": &p.options.UserSearchFilter, "groupSearchFilter": &p.options.GroupSearchFilter} {
		if *value == "" {
			continue
		}
		if !strings.HasPrefix(*value, "(") {
			*value = "(" + *value + ")"
		}
		if _, err := ldap.CompileFilter(*value); err != nil {
			return nil, fmt.Errorf("%s is not a filter", name)
		}
	}
	if options.UserSearchBase == "" {
		return nil, errors.New("userSearchBase is missing")
	}
	for name, value := range map[string]string{"userSearchBase": options.UserSearchBase, "groupSearchBase": options.GroupSearchBase, "managerDN": options.ManagerDN} {
		if _, err := ldap.ParseDN(value); err != nil && name != "managerDN" { // Active Directory takes jane@example.com as well
			return nil, fmt.Errorf("%s is not a distinguished name", name)
		}
	}
	if options.ManagerDN != "" && options.ManagerPassword == "" {
		// A bind without a password succeeds as nobody (RFC 4513 §5.1.2).
		return nil, errors.New("managerPassword is missing")
	}
	if encryption != plain {
		host, _, _ := net.SplitHostPort(address)
		trust := outbound.Trust{InsecureSkipVerify: options.InsecureSkipVerify, RootCA: options.RootCA, RootCAData: options.RootCAData}
		if p.tls, err = trust.Config(host); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// encryption is how a connection is encrypted.
type encryption int

const (
	plain encryption = iota
	startTLS
	fromTheStart
)

// endpoint is the address to connect to and how to encrypt what is sent there.
func endpoint(host string, encrypt bool) (address string, how encryption, err error) {
	secure := false
	if scheme, rest, found := strings.Cut(host, "://"); found {
		if scheme != "ldap" && scheme != "ldaps" {
			return "", plain, errors.New("host is neither ldap:// nor ldaps://")
		}
		host, secure = strings.TrimSuffix(rest, "/"), scheme == "ldaps"
		if !secure && encrypt {
			how = startTLS
		}
	} else if encrypt {
		how = startTLS
		if _, port, err := net.SplitHostPort(host); err == nil && (port == "636" || port == "3269") {
			secure = true
		}
	}
	port := "389"
	if secure {
		how, port = fromTheStart, "636"
	}
	if _, _, err := net.SplitHostPort(host); err != nil {
		host = net.JoinHostPort(strings.Trim(host, "[]"), port)
	}
	parsed, err := url.Parse("ldap://" + host)
	if err != nil || parsed.Hostname() == "" || parsed.Port() == "" || parsed.Host != host {
		return "", plain, errors.New("host is not HOST:PORT")
	}
	return host, how, nil
}
