package ldap

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
)

// What a directory may answer, and a person may type.
const (
	longestName     = 256
	longestPassword = 1024
	mostGroups      = 1000
	mostBytes       = 4 << 20
)

// Provider implements identity.PasswordProvider.
type Provider struct {
	options    Options
	address    string
	encryption encryption
	tls        *tls.Config
	timeout    time.Duration
}

// Authenticate returns who has the name and the password.
func (p *Provider) Authenticate(ctx context.Context, username, password string) (identity.External, error) {
	// A bind without a password succeeds as nobody (RFC 4513 §5.1.2): it would
	// be a login as anybody.
	if username == "" || password == "" || len(username) > longestName || len(password) > longestPassword {
		return identity.External{}, identity.ErrIncorrect
	}
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	conn, err := p.connect(ctx)
	if err != nil {
		return identity.External{}, unavailable("connecting to the directory at "+p.address, err)
	}
	defer conn.Close()
	// Whatever waits for the directory ends with the request.
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()

	if err := p.manage(conn); err != nil {
		return identity.External{}, err
	}
	entry, err := p.find(ctx, conn, username)
	if err != nil {
		return identity.External{}, err
	}
	if err := p.bind(conn, entry, password); err != nil {
		return identity.External{}, err
	}
	if entry == nil {
		return identity.External{}, identity.ErrIncorrect
	}
	groups, err := p.groups(conn, entry)
	if err != nil {
		return identity.External{}, err
	}
	login := entry.GetEqualFoldAttributeValue(p.options.LoginAttribute)
	display := entry.GetEqualFoldAttributeValue("displayName")
	if display == "" {
		display = entry.GetEqualFoldAttributeValue("cn")
	}
	return identity.External{
		Subject: login, Username: login, Email: entry.GetEqualFoldAttributeValue(p.options.MailAttribute), DisplayName: display, Groups: groups,
	}, nil
}

// connect connects and, when configured, encrypts.
func (p *Provider) connect(ctx context.Context) (*ldap.Conn, error) {
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.address)
	if err != nil {
		return nil, err
	}
	if deadline, found := ctx.Deadline(); found {
		if err := raw.SetDeadline(deadline); err != nil {
			return nil, errors.Join(err, raw.Close())
		}
	}
	var through net.Conn = &bounded{Conn: raw, left: mostBytes}
	if p.encryption == fromTheStart {
		encrypted := tls.Client(through, p.tls)
		if err := encrypted.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(err, raw.Close())
		}
		through = encrypted
	}
	conn := ldap.NewConn(through, p.encryption == fromTheStart)
	conn.SetTimeout(p.timeout)
	conn.Start()
	if p.encryption == startTLS {
		if err := conn.StartTLS(p.tls); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return conn, nil
}

// bounded is a connection that ends when the other side sends too much.
type bounded struct {
	net.Conn
	left int
}

func (b *bounded) Read(into []byte) (int, error) {
	if b.left <= 0 {
		return 0, errors.New("the directory sends too much")
	}
	n, err := b.Conn.Read(into[:min(len(into), b.left)])
	b.left -= n
	return n, err
}

// manage logs in as who looks people up.
func (p *Provider) manage(conn *ldap.Conn) error {
	if p.options.ManagerDN == "" {
		return nil
	}
	if err := conn.Bind(p.options.ManagerDN, p.options.ManagerPassword.Reveal()); err != nil {
		return unavailable("logging in to the directory as its manager", err)
	}
	return nil
}

// find looks a person up; nil when there is none, or more than one.
func (p *Provider) find(ctx context.Context, conn *ldap.Conn, username string) (*ldap.Entry, error) {
	attributes := []string{p.options.LoginAttribute, p.options.MailAttribute, "displayName", "cn", "memberOf"}
	if p.options.UserMemberAttribute != "" {
		attributes = append(attributes, p.options.UserMemberAttribute)
	}
	result, err := conn.Search(ldap.NewSearchRequest(p.options.UserSearchBase, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases,
		2, p.seconds(), false, filter(p.options.LoginAttribute, username, p.options.UserSearchFilter), attributes, nil))
	switch {
	case ldap.IsErrorWithCode(err, ldap.LDAPResultSizeLimitExceeded):
	case ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchObject), ldap.IsErrorWithCode(err, ldap.LDAPResultInvalidAttributeSyntax):
		return nil, nil
	case err != nil:
		return nil, unavailable("searching the directory", err)
	}
	switch {
	case result == nil || len(result.Entries) == 0:
		return nil, nil
	case len(result.Entries) > 1 || err != nil:
		slog.WarnContext(ctx, "a name stands for several people of the directory", "base", p.options.UserSearchBase)
		return nil, nil
	case result.Entries[0].GetEqualFoldAttributeValue(p.options.LoginAttribute) == "" || result.Entries[0].DN == "":
		return nil, nil
	}
	return result.Entries[0], nil
}

// filter selects the entries whose attribute has a value and that match
// another filter, which may be empty.
func filter(attribute, value, and string) string {
	equals := "(" + attribute + "=" + ldap.EscapeFilter(value) + ")"
	if and == "" {
		return equals
	}
	return "(&" + equals + and + ")"
}

// groups are the groups of a person: distinguished names and, where only
// groups below the base count, also common names.
func (p *Provider) groups(conn *ldap.Conn, entry *ldap.Entry) ([]string, error) {
	if p.options.GroupSearchBase == "" {
		found := entry.GetEqualFoldAttributeValues("memberOf")
		return found[:min(len(found), mostGroups)], nil
	}
	member := entry.DN
	if p.options.UserMemberAttribute != "" && !strings.EqualFold(p.options.UserMemberAttribute, "dn") {
		if member = entry.GetEqualFoldAttributeValue(p.options.UserMemberAttribute); member == "" {
			return nil, nil
		}
	}
	// Who has logged in may see less than the manager.
	if err := p.manage(conn); err != nil {
		return nil, err
	}
	result, err := conn.Search(ldap.NewSearchRequest(p.options.GroupSearchBase, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases,
		mostGroups, p.seconds(), false, filter(p.options.GroupMemberAttribute, member, p.options.GroupSearchFilter), []string{"cn"}, nil))
	if err != nil {
		return nil, unavailable("searching the groups of the directory", err)
	}
	var found []string
	for _, group := range result.Entries {
		found = append(found, group.DN)
		if name := group.GetEqualFoldAttributeValue("cn"); name != "" {
			found = append(found, name)
		}
	}
	return found, nil
}

// bind checks the password. Who is not there costs a bind as well, or the time
// would tell.
func (p *Provider) bind(conn *ldap.Conn, entry *ldap.Entry, password string) error {
	dn := "cn=nobody," + p.options.UserSearchBase
	if entry != nil {
		dn = entry.DN
	}
	err := conn.Bind(dn, password)
	for _, refusal := range []uint16{
		ldap.LDAPResultInvalidCredentials, ldap.LDAPResultInappropriateAuthentication, ldap.LDAPResultNoSuchObject,
		ldap.LDAPResultInvalidDNSyntax, ldap.LDAPResultConstraintViolation, ldap.LDAPResultUnwillingToPerform, ldap.LDAPResultInsufficientAccessRights,
	} {
		if ldap.IsErrorWithCode(err, refusal) {
			return identity.ErrIncorrect
		}
	}
	if err != nil {
		return unavailable("checking a password with the directory", err)
	}
	return nil
}

func (p *Provider) seconds() int { return max(1, int(p.timeout/time.Second)) }

// unavailable is the error of a directory that does not do what it should. Of
// the directory's own words only the code is kept.
func unavailable(doing string, err error) error {
	var answered *ldap.Error
	if errors.As(err, &answered) && answered.ResultCode < ldap.ErrorNetwork {
		return fmt.Errorf("%w: %s: %s", identity.ErrUnavailable, doing, ldap.LDAPResultCodeMap[answered.ResultCode])
	}
	return fmt.Errorf("%w: %s: %w", identity.ErrUnavailable, doing, err)
}

var _ identity.PasswordProvider = (*Provider)(nil)
