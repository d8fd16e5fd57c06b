package outbound

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"
)

// Trust says whose certificates are believed.
type Trust struct {
	// InsecureSkipVerify believes anybody.
	InsecureSkipVerify bool
	// RootCA is a file with certificates in PEM, RootCAData the same in base64
	// or as it is. Without either, those of the system are trusted.
	RootCA     string
	RootCAData string
}

// Config is the configuration of a client that talks to a host.
func (t Trust) Config(host string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host, InsecureSkipVerify: t.InsecureSkipVerify} //nolint:gosec // the operator says so
	var roots []byte
	switch {
	case t.RootCAData != "":
		roots = []byte(t.RootCAData)
		if !strings.Contains(t.RootCAData, "-----BEGIN") {
			decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(t.RootCAData))
			if err != nil {
				return nil, errors.New("rootCAData is neither PEM nor base64")
			}
			roots = decoded
		}
	case t.RootCA != "":
		content, err := os.ReadFile(t.RootCA)
		if err != nil {
			return nil, fmt.Errorf("rootCA: %w", err)
		}
		roots = content
	default:
		return config, nil
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(roots) {
		return nil, errors.New("there is no certificate in the root CA")
	}
	return config, nil
}
