package ldap

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// required makes the tests fail that are skipped without OpenLDAP.
const required = "KS_REQUIRE_SLAPD"

const (
	base            = "dc=example,dc=com"
	manager         = "cn=manager," + base
	managerPassword = "manager-s3cr3t"
)

// directory is an OpenLDAP that runs for a test.
type directory struct {
	plain, secure string // HOST:PORT
	ca            string // PEM
	root          string
}

// start runs slapd until the test ends, with people and groups.
func start(t *testing.T) *directory {
	t.Helper()
	command, err := exec.LookPath("slapd")
	if err != nil {
		for _, path := range []string{"/usr/sbin/slapd", "/usr/libexec/slapd"} {
			if _, statErr := os.Stat(path); statErr == nil {
				command, err = path, nil
			}
		}
	}
	if err != nil {
		if os.Getenv(required) == "1" {
			t.Fatalf("%s=1 and there is no slapd", required)
		}
		t.Skip("there is no slapd")
	}
	d := &directory{root: t.TempDir(), plain: free(t), secure: free(t)}
	certificate, key := d.certify(t)
	data := filepath.Join(d.root, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	configuration := fmt.Sprintf(`
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/nis.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
pidfile %[1]s/slapd.pid
TLSCertificateFile %[2]s
TLSCertificateKeyFile %[3]s
disallow bind_anon
require authc
database mdb
suffix %[4]s
directory %[5]s
rootdn %[6]s
rootpw %[7]s
overlay memberof
memberof-group-oc groupOfNames
access to attrs=userPassword by anonymous auth by * none
access to * by self read by * none
`, d.root, certificate, key, base, data, manager, managerPassword)
	file := filepath.Join(d.root, "slapd.conf")
	if err := os.WriteFile(file, []byte(configuration), 0o600); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	slapd := exec.Command(command, "-f", file, "-d", "0", "-h", "ldap://"+d.plain+"/ ldaps://"+d.secure+"/")
	slapd.Stdout, slapd.Stderr = &said, &said
	if err := slapd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = slapd.Process.Kill()
		_ = slapd.Wait()
		if t.Failed() {
			t.Logf("slapd: %s", said.String())
		}
	})
	d.fill(t)
	return d
}

// free is an address nobody listened at a moment ago.
func free(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// certify writes a certificate for 127.0.0.1 that is its own authority.
func (d *directory) certify(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "slapd"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	d.ca = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}))
	certificate, key = filepath.Join(d.root, "tls.crt"), filepath.Join(d.root, "tls.key")
	for path, content := range map[string][]byte{certificate: []byte(d.ca), key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certificate, key
}

// fill adds who is there.
func (d *directory) fill(t *testing.T) {
	t.Helper()
	var conn *ldap.Conn
	wait.For(t, "slapd to answer", func() (err error) {
		conn, err = ldap.DialURL("ldap://" + d.plain)
		return err
	})
	defer conn.Close()
	if err := conn.Bind(manager, managerPassword); err != nil {
		t.Fatal(err)
	}
	add := func(dn string, attributes map[string][]string) {
		t.Helper()
		request := ldap.NewAddRequest(dn, nil)
		for name, values := range attributes {
			request.Attribute(name, values)
		}
		if err := conn.Add(request); err != nil {
			t.Fatalf("adding %s: %v", dn, err)
		}
	}
	add(base, map[string][]string{"objectClass": {"dcObject", "organization"}, "dc": {"example"}, "o": {"Example"}})
	for _, unit := range []string{"people", "groups", "others"} {
		add("ou="+unit+","+base, map[string][]string{"objectClass": {"organizationalUnit"}, "ou": {unit}})
	}
	person := func(unit, uid, cn, password string) {
		t.Helper()
		add("cn="+ldap.EscapeDN(cn)+",ou="+unit+","+base, map[string][]string{
			"objectClass": {"inetOrgPerson"}, "uid": {uid}, "cn": {cn}, "sn": {cn}, "displayName": {cn + " (Example)"},
			"mail": {uid + "@example.com"}, "userPassword": {password}, "employeeType": {"person"},
		})
	}
	person("people", "jane", "Jane Doe", "jane-s3cr3t")
	person("people", "j_o.h*n", "John, the (2nd)", "john-s3cr3t")
	person("people", "twice", "Twice One", "twice-s3cr3t")
	person("people", "twice", "Twice Two", "twice-s3cr3t")
	person("others", "robot", "Robot", "robot-s3cr3t")
	add("cn=developers,ou=groups,"+base, map[string][]string{
		"objectClass": {"groupOfNames"}, "cn": {"developers"}, "member": {"cn=Jane Doe,ou=people," + base, `cn=John\, the (2nd),ou=people,` + base},
	})
	add("cn=admins,ou=groups,"+base, map[string][]string{"objectClass": {"groupOfNames"}, "cn": {"admins"}, "member": {"cn=Robot,ou=others," + base}})
	add("cn=posix,ou=groups,"+base, map[string][]string{"objectClass": {"posixGroup"}, "cn": {"posix"}, "gidNumber": {"1000"}, "memberUid": {"jane"}})
}

func (d *directory) options() Options {
	return Options{
		Host: d.plain, ReadTimeout: 10_000, StartTLS: true, RootCAData: base64.StdEncoding.EncodeToString([]byte(d.ca)),
		ManagerDN: manager, ManagerPassword: managerPassword,
		UserSearchBase: "ou=people," + base, UserSearchFilter: "(&(objectClass=inetOrgPerson)(employeeType=person))",
		LoginAttribute: "uid", MailAttribute: "mail",
	}
}
