package pki

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
)

// Names of the files, without their .crt or .key.
const (
	CA                = "ca"
	FrontProxyCA      = "front-proxy-ca"
	FrontProxyClient  = "front-proxy-client"
	APIServer         = "apiserver"
	Admin             = "admin"
	ControllerManager = "controller-manager"
	Scheduler         = "scheduler"
	Kwok              = "kwok"
	KubeletClient     = "apiserver-kubelet-client"
	Kubelet           = "kubelet"
	ServiceAccount    = "sa"
)

// Store is a directory of certificates and keys.
type Store struct {
	dir string
}

// leaf describes one certificate signed by one of the two CAs.
type leaf struct {
	file   string
	signer string
	spec   spec
}

func leaves() []leaf {
	loopback := []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	masters := []string{"system:masters"}
	client := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	server := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	return []leaf{
		{APIServer, CA, spec{
			commonName: "kube-apiserver",
			usage:      server,
			names: []string{
				"localhost", "kubernetes", "kubernetes.default",
				"kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
			},
			// 10.96.0.1 is the ClusterIP of the kubernetes Service.
			addresses: append(loopback, net.IPv4(10, 96, 0, 1)),
		}},
		{Kubelet, CA, spec{
			commonName: "kubelet", usage: server, names: []string{"localhost"}, addresses: loopback,
		}},
		{Admin, CA, spec{commonName: "kubernetes-admin", organizations: masters, usage: client}},
		{ControllerManager, CA, spec{commonName: "system:kube-controller-manager", usage: client}},
		{Scheduler, CA, spec{commonName: "system:kube-scheduler", usage: client}},
		// KWOK, the provisioner and the seed act as the parts of a cluster
		// for which a real one has many different identities.
		{Kwok, CA, spec{commonName: "devcluster:kwok", organizations: masters, usage: client}},
		{KubeletClient, CA, spec{commonName: "kube-apiserver-kubelet-client", organizations: masters, usage: client}},
		{FrontProxyClient, FrontProxyCA, spec{commonName: "front-proxy-client", usage: client}},
	}
}

// Ensure opens the store in dir and makes whatever is missing in it. Files
// that exist are never changed: clients may already trust them.
func Ensure(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the certificate directory: %w", err)
	}
	s := &Store{dir: dir}
	authorities := map[string]*authority{}
	for _, name := range []string{CA, FrontProxyCA} {
		ca, err := s.ensureAuthority(name)
		if err != nil {
			return nil, fmt.Errorf("certificate authority %s: %w", name, err)
		}
		authorities[name] = ca
	}
	for _, l := range leaves() {
		if err := s.ensureLeaf(l, authorities[l.signer]); err != nil {
			return nil, fmt.Errorf("certificate %s: %w", l.file, err)
		}
	}
	if err := s.ensureServiceAccountKey(); err != nil {
		return nil, fmt.Errorf("service account key: %w", err)
	}
	return s, nil
}

// Cert is the path of a certificate.
func (s *Store) Cert(name string) string { return filepath.Join(s.dir, name+".crt") }

// Key is the path of a private key.
func (s *Store) Key(name string) string { return filepath.Join(s.dir, name+".key") }

// PublicKey is the path of a public key (of the service account key pair).
func (s *Store) PublicKey(name string) string { return filepath.Join(s.dir, name+".pub") }

// have tells whether both halves of a pair exist. The certificate is written
// last, so half a pair left by a crash is made again.
func (s *Store) have(files ...string) (bool, error) {
	for _, f := range files {
		_, err := os.Stat(f)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	return true, nil
}

// writeFile replaces path atomically, readable by its owner only.
func writeFile(path string, data []byte) error {
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
