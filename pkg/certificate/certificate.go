package certificate

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// authorityLasts is how long clients can check certificates by an authority,
	// which is in their files; certificateLasts is how long one is shown.
	authorityLasts   = 10 * 365 * 24 * time.Hour
	certificateLasts = 90 * 24 * time.Hour
	// renewBefore is how long before its end something is made anew.
	renewBefore = 30 * 24 * time.Hour
	// early allows for clocks that are behind.
	early = time.Hour

	authorityCertificate = "ca.crt"
	authorityKey         = "ca.key"
)

// Store keeps the certificate.
type Store struct {
	Client          client.Client
	Namespace, Name string
	// Hosts are the names and addresses the certificate is for.
	Hosts []string
	Now   func() time.Time
	// Interval is how often the Secret is read.
	Interval time.Duration

	current atomic.Pointer[pair]
}

// pair is a certificate with its authority.
type pair struct {
	certificate *tls.Certificate
	authority   []byte // in PEM
}

// ErrNotReady is the error as long as the Secret was not read.
var ErrNotReady = errors.New("there is no certificate yet")

// Certificate returns the one to show, as crypto/tls asks for it.
func (s *Store) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if current := s.current.Load(); current != nil {
		return current.certificate, nil
	}
	return nil, ErrNotReady
}

// Authority returns the certificates clients check by, in PEM.
func (s *Store) Authority() ([]byte, error) {
	if current := s.current.Load(); current != nil {
		return current.authority, nil
	}
	return nil, ErrNotReady
}

// Run keeps the certificate up to date until the context ends.
func (s *Store) Run(ctx context.Context) {
	for {
		wait := s.Interval
		if err := s.Sync(ctx); err != nil && ctx.Err() == nil {
			slog.WarnContext(ctx, "the certificate of this server cannot be read", "error", err)
			if s.current.Load() == nil {
				wait = min(wait, time.Second)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// Sync reads the Secret, and writes what is missing or about to end. Of two
// replicas that do so at once one fails, and reads what the other wrote.
func (s *Store) Sync(ctx context.Context) error {
	secret := &corev1.Secret{}
	err := s.Client.Get(ctx, client.ObjectKey{Namespace: s.Namespace, Name: s.Name}, secret)
	missing := apierrors.IsNotFound(err)
	if err != nil && !missing {
		return err
	}
	changed, err := s.complete(secret)
	if err != nil {
		return fmt.Errorf("secret %s/%s: %w", s.Namespace, s.Name, err)
	}
	switch {
	case missing:
		secret.ObjectMeta = metav1.ObjectMeta{Namespace: s.Namespace, Name: s.Name}
		secret.Type = corev1.SecretTypeTLS
		err = s.Client.Create(ctx, secret)
	case changed:
		err = s.Client.Update(ctx, secret)
	}
	if apierrors.IsAlreadyExists(err) || apierrors.IsConflict(err) {
		secret = &corev1.Secret{}
		err = s.Client.Get(ctx, client.ObjectKey{Namespace: s.Namespace, Name: s.Name}, secret)
	}
	if err != nil {
		return err
	}
	certificate, err := tls.X509KeyPair(secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey])
	if err != nil {
		return fmt.Errorf("secret %s/%s: %w", s.Namespace, s.Name, err)
	}
	s.current.Store(&pair{certificate: &certificate, authority: secret.Data[authorityCertificate]})
	return nil
}

// complete makes what of a Secret is missing, unreadable or about to end.
func (s *Store) complete(secret *corev1.Secret) (changed bool, err error) {
	if secret.Data == nil {
		secret.Data = make(map[string][]byte)
	}
	authority, key := s.read(secret, authorityCertificate, authorityKey)
	if authority == nil {
		if authority, key, err = s.write(secret, authorityCertificate, authorityKey, s.authority(), nil, nil); err != nil {
			return false, err
		}
		changed = true
	}
	shown, _ := s.read(secret, corev1.TLSCertKey, corev1.TLSPrivateKeyKey)
	if shown == nil || shown.CheckSignatureFrom(authority) != nil || !s.covers(shown) {
		if _, _, err = s.write(secret, corev1.TLSCertKey, corev1.TLSPrivateKeyKey, s.template(), authority, key); err != nil {
			return false, err
		}
		changed = true
	}
	return changed, nil
}

func (s *Store) covers(certificate *x509.Certificate) bool {
	for _, host := range s.Hosts {
		if certificate.VerifyHostname(host) != nil {
			return false
		}
	}
	return true
}

// read returns a certificate with its key, nil unless both will do for a while.
func (s *Store) read(secret *corev1.Secret, name, keyName string) (*x509.Certificate, *ecdsa.PrivateKey) {
	pair, err := tls.X509KeyPair(secret.Data[name], secret.Data[keyName])
	if err != nil {
		return nil, nil
	}
	key, isECDSA := pair.PrivateKey.(*ecdsa.PrivateKey)
	certificate, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil || !isECDSA || s.Now().Add(renewBefore).After(certificate.NotAfter) {
		return nil, nil
	}
	return certificate, key
}

// write makes a certificate, signed by an authority or by itself.
func (s *Store) write(secret *corev1.Secret, name, keyName string, template, authority *x509.Certificate, signer *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)); err != nil {
		return nil, nil, err
	}
	if authority == nil {
		authority, signer = template, key
	}
	made, err := x509.CreateCertificate(rand.Reader, template, authority, &key.PublicKey, signer)
	if err != nil {
		return nil, nil, err
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	secret.Data[name] = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: made})
	secret.Data[keyName] = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})
	certificate, err := x509.ParseCertificate(made)
	return certificate, key, err
}

func (s *Store) authority() *x509.Certificate {
	return &x509.Certificate{
		Subject: pkix.Name{CommonName: s.Name}, NotBefore: s.Now().Add(-early), NotAfter: s.Now().Add(authorityLasts),
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
	}
}

func (s *Store) template() *x509.Certificate {
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: s.Hosts[0]}, NotBefore: s.Now().Add(-early), NotAfter: s.Now().Add(certificateLasts),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	for _, host := range s.Hosts {
		if address := net.ParseIP(host); address != nil {
			template.IPAddresses = append(template.IPAddresses, address)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	return template
}
