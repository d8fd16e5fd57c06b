package ldap

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

func TestSlapdLogin(t *testing.T) {
	d := start(t)
	p, err := New(d.options())
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, user, password string
		subject              string // "" when it is refused
	}{
		{"right", "jane", "jane-s3cr3t", "jane"},
		{"another case, which is the same to the directory", "JANE", "jane-s3cr3t", "jane"},
		{"a name of special characters", "j_o.h*n", "john-s3cr3t", "j_o.h*n"},
		{"wrong", "jane", "wrong", ""},
		{"the password of another", "jane", "john-s3cr3t", ""},
		// Binding without a password succeeds, as nobody.
		{"no password", "jane", "", ""},
		{"no name", "", "jane-s3cr3t", ""},
		{"unknown", "nobody", "jane-s3cr3t", ""},
		{"everybody", "*", "jane-s3cr3t", ""},
		{"part of a name", "jan*", "jane-s3cr3t", ""},
		{"a filter", "x)(|(uid=jane)", "jane-s3cr3t", ""},
		{"a filter that ends early", "jane)(&)", "jane-s3cr3t", ""},
		{"a distinguished name", "cn=Jane Doe,ou=people," + base, "jane-s3cr3t", ""},
		{"two people of a name", "twice", "twice-s3cr3t", ""},
		{"outside the base", "robot", "robot-s3cr3t", ""},
		{"the manager", "manager", managerPassword, ""},
		{"a huge name", strings.Repeat("a", 1<<20), "jane-s3cr3t", ""},
		{"a huge password", "jane", strings.Repeat("a", 1<<20), ""},
		{"not UTF-8", "\xff\xfe", "jane-s3cr3t", ""},
		{"NUL", "jane\x00", "jane-s3cr3t", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			who, err := p.Authenticate(t.Context(), test.user, test.password)
			if test.subject == "" {
				if err != identity.ErrIncorrect || who.Subject != "" { //nolint:errorlint // nothing may be told beside it
					t.Errorf("got %+v, %v", who, err)
				}
				return
			}
			if err != nil || who.Subject != test.subject || who.Username != test.subject || who.Email != test.subject+"@example.com" || who.EmailVerified || !strings.HasSuffix(who.DisplayName, " (Example)") {
				t.Errorf("got %+v, %v", who, err)
			}
		})
	}
}

func TestSlapdGroups(t *testing.T) {
	d := start(t)
	developers := "cn=developers,ou=groups," + base
	for _, test := range []struct {
		name, user, password string
		change               func(*Options)
		groups               []string
	}{
		{"memberOf", "jane", "jane-s3cr3t", func(*Options) {}, []string{developers}},
		{"memberOf of nothing", "robot", "robot-s3cr3t", func(o *Options) { o.UserSearchBase = "ou=others," + base }, []string{"cn=admins,ou=groups," + base}},
		{"search", "jane", "jane-s3cr3t", func(o *Options) { o.GroupSearchBase = "ou=groups," + base }, []string{developers, "developers"}},
		// The name has characters that mean something in filters.
		{"search for a special name", "j_o.h*n", "john-s3cr3t", func(o *Options) { o.GroupSearchBase = "ou=groups," + base }, []string{developers, "developers"}},
		{"search with a filter", "jane", "jane-s3cr3t", func(o *Options) {
			o.GroupSearchBase, o.GroupSearchFilter = "ou=groups,"+base, "(cn=admins)"
		}, nil},
		{"search by name", "jane", "jane-s3cr3t", func(o *Options) {
			o.GroupSearchBase, o.GroupMemberAttribute, o.UserMemberAttribute = "ou=groups,"+base, "memberUid", "uid"
		}, []string{"cn=posix,ou=groups," + base, "posix"}},
		{"search by what the person does not have", "jane", "jane-s3cr3t", func(o *Options) {
			o.GroupSearchBase, o.GroupMemberAttribute, o.UserMemberAttribute = "ou=groups,"+base, "memberUid", "uidNumber"
		}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			options := d.options()
			test.change(&options)
			p, err := New(options)
			if err != nil {
				t.Fatal(err)
			}
			who, err := p.Authenticate(t.Context(), test.user, test.password)
			if err != nil || !slices.Equal(who.Groups, test.groups) {
				t.Errorf("got %q, %v, want %q", who.Groups, err, test.groups)
			}
		})
	}
}

func TestSlapdEncryption(t *testing.T) {
	d := start(t)
	file := filepath.Join(d.root, "ca.pem")
	if err := os.WriteFile(file, []byte(d.ca), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		change func(*Options)
		fine   bool
	}{
		{"StartTLS", func(*Options) {}, true},
		{"StartTLS with PEM as it is", func(o *Options) { o.RootCAData = d.ca }, true},
		{"StartTLS with a file", func(o *Options) { o.RootCAData, o.RootCA = "", file }, true},
		{"ldaps", func(o *Options) { o.Host = "ldaps://" + d.secure }, true},
		{"in clear", func(o *Options) { o.StartTLS = false }, true},
		{"a certificate nobody vouches for", func(o *Options) { o.RootCAData = "" }, false},
		{"ldaps with one", func(o *Options) { o.Host, o.RootCAData = "ldaps://"+d.secure, "" }, false},
		{"one, believed", func(o *Options) { o.RootCAData, o.InsecureSkipVerify = "", true }, true},
		{"TLS where there is none", func(o *Options) { o.Host = "ldaps://" + d.plain }, false},
		{"nobody there", func(o *Options) { o.Host = free(t) }, false},
		{"the manager's password is wrong", func(o *Options) { o.ManagerPassword = "wrong-manager-password" }, false},
		{"nobody looks people up", func(o *Options) { o.ManagerDN = "" }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			options := d.options()
			test.change(&options)
			p, err := New(options)
			if err != nil {
				t.Fatal(err)
			}
			who, err := p.Authenticate(t.Context(), "jane", "jane-s3cr3t")
			if test.fine {
				if err != nil || who.Subject != "jane" {
					t.Errorf("got %+v, %v", who, err)
				}
				return
			}
			if !errors.Is(err, identity.ErrUnavailable) {
				t.Fatalf("got %v", err)
			}
			for _, secret := range []string{"jane-s3cr3t", managerPassword, "wrong-manager-password", manager} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("it tells %s: %v", secret, err)
				}
			}
		})
	}
}

// TestSilentDirectory: one that does not answer costs the configured time, and
// one that sends without end not the memory.
func TestSilentDirectory(t *testing.T) {
	for _, test := range []struct {
		name  string
		serve func(net.Conn)
	}{
		{"says nothing", func(net.Conn) {}},
		// The beginning of a message of 2 GiB, and then zeros.
		{"says too much", func(c net.Conn) {
			_, _ = c.Write([]byte{0x30, 0x84, 0x7f, 0xff, 0xff, 0xff})
			for {
				if _, err := c.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		}},
		{"says what is no LDAP", func(c net.Conn) { _, _ = c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			go func() {
				for {
					conn, err := listener.Accept()
					if err != nil {
						return
					}
					defer conn.Close()
					go test.serve(conn)
				}
			}()
			options := valid()
			options.Host, options.ReadTimeout, options.ManagerDN, options.ManagerPassword = listener.Addr().String(), 400, "cn=manager", "s3cr3t"
			p, err := New(options)
			if err != nil {
				t.Fatal(err)
			}
			started := time.Now()
			_, err = p.Authenticate(t.Context(), "jane", "jane-s3cr3t")
			if !errors.Is(err, identity.ErrUnavailable) || time.Since(started) > wait.Timeout/2 {
				t.Errorf("got %v after %s", err, time.Since(started))
			}
			cancelled, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := p.Authenticate(cancelled, "jane", "jane-s3cr3t"); !errors.Is(err, identity.ErrUnavailable) {
				t.Errorf("after the client went away: %v", err)
			}
		})
	}
}
