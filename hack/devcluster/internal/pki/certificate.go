package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

// validity is long because nobody renews a development cluster.
const validity = 10 * 365 * 24 * time.Hour

// spec is what a certificate says about its holder.
type spec struct {
	commonName    string
	organizations []string
	names         []string
	addresses     []net.IP
	usage         []x509.ExtKeyUsage
	isCA          bool
}

// authority is a certificate and key that sign others.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func (s *Store) ensureAuthority(name string) (*authority, error) {
	exists, err := s.have(s.Cert(name), s.Key(name))
	if err != nil {
		return nil, err
	}
	if !exists {
		if err := s.issue(name, spec{commonName: "devcluster-" + name, isCA: true}, nil); err != nil {
			return nil, err
		}
	}
	pair, err := tls.LoadX509KeyPair(s.Cert(name), s.Key(name))
	if err != nil {
		return nil, err
	}
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("key of type %T cannot sign", pair.PrivateKey)
	}
	return &authority{cert: pair.Leaf, key: key}, nil
}

func (s *Store) ensureLeaf(l leaf, ca *authority) error {
	exists, err := s.have(s.Cert(l.file), s.Key(l.file))
	if err != nil || exists {
		return err
	}
	return s.issue(l.file, l.spec, ca)
}

// issue makes a key and its certificate, signed by ca, or by itself if ca is nil.
func (s *Store) issue(name string, sp spec, ca *authority) error {
	key, err := newKey()
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return err
	}
	// An hour of slack for clocks that do not quite agree.
	now := time.Now().Add(-time.Hour)
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: sp.commonName, Organization: sp.organizations},
		DNSNames:              sp.names,
		IPAddresses:           sp.addresses,
		NotBefore:             now,
		NotAfter:              now.Add(validity),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           sp.usage,
		BasicConstraintsValid: true,
		IsCA:                  sp.isCA,
	}
	if sp.isCA {
		template.KeyUsage |= x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	}
	if ca == nil {
		ca = &authority{cert: template, key: key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key.Public(), ca.key)
	if err != nil {
		return err
	}
	if err := writeKey(s.Key(name), key); err != nil {
		return err
	}
	return writeFile(s.Cert(name), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// ensureServiceAccountKey makes the pair that signs service account tokens.
func (s *Store) ensureServiceAccountKey() error {
	exists, err := s.have(s.PublicKey(ServiceAccount), s.Key(ServiceAccount))
	if err != nil || exists {
		return err
	}
	key, err := newKey()
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	if err := writeKey(s.Key(ServiceAccount), key); err != nil {
		return err
	}
	return writeFile(s.PublicKey(ServiceAccount), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// newKey makes an ECDSA key: RSA would cost seconds at every first start.
func newKey() (*ecdsa.PrivateKey, error) {
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

func writeKey(path string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return writeFile(path, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
}
