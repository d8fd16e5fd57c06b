package ldap

import (
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"
)

func TestEndpoint(t *testing.T) {
	for _, test := range []struct {
		name, host string
		encrypt    bool
		address    string // "" when it is refused
		how        encryption
	}{
		{"in clear", "ldap.example.com:389", false, "ldap.example.com:389", plain},
		{"without a port", "ldap.example.com", false, "ldap.example.com:389", plain},
		{"StartTLS", "ldap.example.com:389", true, "ldap.example.com:389", startTLS},
		{"StartTLS at a port of one's own", "ldap.example.com:10389", true, "ldap.example.com:10389", startTLS},
		// KubeSphere 3.x connects with TLS and calls it startTLS.
		{"as 3.x means it", "ldap.example.com:636", true, "ldap.example.com:636", fromTheStart},
		{"the global catalog", "ad.example.com:3269", true, "ad.example.com:3269", fromTheStart},
		{"ldaps", "ldaps://ldap.example.com", false, "ldap.example.com:636", fromTheStart},
		{"ldaps with a port", "ldaps://ldap.example.com:1636/", true, "ldap.example.com:1636", fromTheStart},
		{"ldap", "ldap://ldap.example.com", false, "ldap.example.com:389", plain},
		{"ldap with StartTLS", "ldap://ldap.example.com:636", true, "ldap.example.com:636", startTLS},
		{"IPv6", "[::1]:389", false, "[::1]:389", plain},
		{"IPv6 without a port", "[::1]", false, "[::1]:389", plain},
		{"nothing", "", false, "", plain},
		{"another scheme", "http://ldap.example.com", false, "", plain},
		{"a path", "ldap://ldap.example.com:389/dc=example", false, "", plain},
		{"a user", "ldap://jane@ldap.example.com:389", false, "", plain},
	} {
		t.Run(test.name, func(t *testing.T) {
			address, how, err := endpoint(test.host, test.encrypt)
			if address != test.address || (err == nil) != (test.address != "") || err == nil && how != test.how {
				t.Errorf("got %q, %d, %v", address, how, err)
			}
		})
	}
}

func valid() Options {
	return Options{Host: "127.0.0.1:389", UserSearchBase: "ou=people,dc=example,dc=com"}
}

func TestNewRefuses(t *testing.T) {
	for _, test := range []struct {
		option string // "" when it is fine
		change func(*Options)
	}{
		{"", func(*Options) {}},
		{"", func(o *Options) { o.UserSearchFilter = "objectClass=person" }},
		{"", func(o *Options) { o.ManagerDN, o.ManagerPassword = "jane@example.com", "s3cr3t" }},
		{"host", func(o *Options) { o.Host = "" }},
		{"readTimeout", func(o *Options) { o.ReadTimeout = -1 }},
		{"loginAttribute", func(o *Options) { o.LoginAttribute = "uid=*)(cn" }},
		{"mailAttribute", func(o *Options) { o.MailAttribute = "mail)" }},
		{"groupMemberAttribute", func(o *Options) { o.GroupMemberAttribute = "(" }},
		{"userMemberAttribute", func(o *Options) { o.UserMemberAttribute = "a b" }},
		{"userSearchFilter", func(o *Options) { o.UserSearchFilter = "(&(a=b)" }},
		{"groupSearchFilter", func(o *Options) { o.GroupSearchFilter = ")(" }},
		{"userSearchBase", func(o *Options) { o.UserSearchBase = "" }},
		{"userSearchBase", func(o *Options) { o.UserSearchBase = "people" }},
		{"managerPassword", func(o *Options) { o.ManagerDN = "cn=admin,dc=example,dc=com" }},
		{"rootCA", func(o *Options) { o.StartTLS, o.RootCAData = true, "no certificate" }},
	} {
		options := valid()
		test.change(&options)
		_, err := New(options)
		if test.option == "" && err != nil || test.option != "" && (err == nil || !strings.HasPrefix(err.Error(), test.option)) {
			t.Errorf("got %v, want %q", err, test.option)
		}
	}
}

func TestFilter(t *testing.T) {
	for _, test := range []struct{ value, and, want string }{
		{"jane", "", "(uid=jane)"},
		{"jane", "(objectClass=person)", "(&(uid=jane)(objectClass=person))"},
		{"*", "", `(uid=\2a)`},
		{"jane)(uid=*", "(objectClass=person)", `(&(uid=jane\29\28uid=\2a)(objectClass=person))`},
		{"\x00\\", "", `(uid=\00\5c)`},
		{"é", "", `(uid=\c3\a9)`},
	} {
		if got := filter("uid", test.value, test.and); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
}

// FuzzFilter: whatever somebody types is the value, and nothing but the value,
// of one comparison.
func FuzzFilter(f *testing.F) {
	for _, seed := range []string{"jane", "*", "a)(b=c", "\x00", `\2a`, "(", "é", "\xff", "a*b", " "} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		if typed == "" {
			return // refused before
		}
		packet, err := ldap.CompileFilter(filter("uid", typed, "(objectClass=person)"))
		if err != nil {
			t.Fatalf("no filter: %v", err)
		}
		if packet.Tag != ldap.FilterAnd || len(packet.Children) != 2 {
			t.Fatalf("another filter")
		}
		equals := packet.Children[0]
		if equals.Tag != ldap.FilterEqualityMatch || len(equals.Children) != 2 {
			t.Fatalf("another comparison: %d", equals.Tag)
		}
		if attribute, value := equals.Children[0].Data.String(), equals.Children[1].Data.String(); attribute != "uid" || value != typed {
			t.Fatalf("compares %q with %q instead of %q", attribute, value, typed)
		}
	})
}
