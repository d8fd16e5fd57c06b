package certificate

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	kubescheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

// answers reports whether a client that knows the authority talks to a server
// with the certificate of a store, by a name.
func answers(t *testing.T, s *Store, authority []byte, name string, at time.Time) error {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.TLS = &tls.Config{GetCertificate: s.Certificate, MinVersion: tls.VersionTLS12}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	server.TLS.Certificates = nil // else that of the test package is shown to who names nobody
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	conn, err := tls.Dial("tcp", server.Listener.Addr().String(), &tls.Config{RootCAs: roots, ServerName: name, MinVersion: tls.VersionTLS12, Time: func() time.Time { return at }})
	if err != nil {
		return err
	}
	return conn.Close()
}

func TestStore(t *testing.T) {
	now := time.Now()
	c := fake.NewClientBuilder().WithScheme(kubescheme.Scheme).Build()
	store := func() *Store {
		return &Store{Client: c, Namespace: "n", Name: "s", Hosts: []string{"ks.svc", "127.0.0.1"}, Now: func() time.Time { return now }, Interval: time.Minute}
	}
	one, two := store(), store()
	if _, err := one.Certificate(nil); !errors.Is(err, ErrNotReady) {
		t.Errorf("before it is read: %v", err)
	}
	if _, err := one.Authority(); !errors.Is(err, ErrNotReady) {
		t.Errorf("before it is read: %v", err)
	}
	sync := func() []byte {
		t.Helper()
		for _, s := range []*Store{one, two} {
			if err := s.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		first, _ := one.Authority()
		second, _ := two.Authority()
		if !bytes.Equal(first, second) {
			t.Error("the replicas differ")
		}
		return first
	}
	authority := sync()
	for name, want := range map[string]bool{"ks.svc": true, "127.0.0.1": true, "other.svc": false} {
		for _, s := range []*Store{one, two} {
			if err := answers(t, s, authority, name, now); (err == nil) != want {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	shown := func() []byte {
		certificate, err := one.Certificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		return certificate.Certificate[0]
	}
	first := shown()
	now = now.Add(24 * time.Hour)
	if sync(); !bytes.Equal(first, shown()) {
		t.Error("another certificate after a day")
	}
	now = now.Add(certificateLasts - renewBefore)
	if again := sync(); bytes.Equal(first, shown()) || !bytes.Equal(authority, again) {
		t.Error("after two months: the certificate has to change, the authority must not")
	}
	if err := answers(t, one, authority, "ks.svc", now); err != nil {
		t.Errorf("with the authority of before: %v", err)
	}
	// Another host, and a Secret somebody broke.
	one.Hosts, two.Hosts = append(one.Hosts, "new.svc"), append(two.Hosts, "new.svc")
	if sync(); answers(t, one, authority, "new.svc", now) != nil {
		t.Error("a new host is not in the certificate")
	}
	secret := &corev1.Secret{}
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: "n", Name: "s"}, secret); err != nil {
		t.Fatal(err)
	}
	secret.Data[corev1.TLSCertKey] = []byte("broken")
	if err := c.Update(context.WithoutCancel(t.Context()), secret); err != nil {
		t.Fatal(err)
	}
	if sync(); answers(t, two, authority, "ks.svc", now) != nil {
		t.Error("a broken certificate stays")
	}
	now = now.Add(authorityLasts)
	if again := sync(); bytes.Equal(authority, again) || answers(t, one, again, "ks.svc", now) != nil {
		t.Error("the authority is over")
	}
}
