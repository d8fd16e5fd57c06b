package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// TestBothPortsCloseAtOnce: while a request on one port is finished, the other
// takes no more. It was closed after the first only, with what time was left.
func TestBothPortsCloseAtOnce(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile := filepath.Join(t.TempDir(), "tls.crt"), filepath.Join(t.TempDir(), "tls.key")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: certificate}, keyFile: {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	entered, leave := make(chan struct{}), make(chan struct{})
	s := newServer(t, func(o *Options) {
		o.Config.TLSCertFile, o.Config.TLSPrivateKey = certFile, keyFile
		o.Config.InsecurePort, o.Config.SecurePort = freePort(t), freePort(t)
	}, map[string]route.Handler{"slow": func(http.ResponseWriter, *http.Request) error {
		close(entered)
		<-leave
		return nil
	}})
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- s.Run(ctx) }()
	answered := make(chan error, 1)
	go func() {
		response, err := http.Get("http://" + s.Address().String() + "/kapis/test.io/v1/slow")
		if err == nil {
			err = response.Body.Close()
		}
		answered <- err
	}()
	<-entered
	stop()
	wait.Until(t, "the TLS port to close while the plain one is drained", func() bool {
		conn, err := net.Dial("tcp", s.encrypted.Addr().String())
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	close(leave)
	if err := <-answered; err != nil {
		t.Errorf("the request in flight: %v", err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Run: %v", err)
	}
}

// freePort is a port nobody listens on at the moment.
func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}
