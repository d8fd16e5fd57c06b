// Package config reads the configuration of ks-apiserver: the file
// kubesphere.yaml of KubeSphere 3.3 and 3.4, environment variables and flags,
// in that order of precedence from low to high. A key that is unknown is an
// error. The package may be imported by everything above it.
package config
