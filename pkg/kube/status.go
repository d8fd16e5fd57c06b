package kube

import (
	"errors"
	"net"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// Unavailable reports whether an error means that kube-apiserver could not be
// reached or could not answer, or that this server cannot at the moment, so that the
// same request may succeed later.
func Unavailable(err error) bool {
	var network net.Error
	return errors.As(err, &network) || apierrors.IsServiceUnavailable(err) || apierrors.IsServerTimeout(err) ||
		apierrors.IsTimeout(err) || apierrors.IsTooManyRequests(err)
}

// Err is the error to answer a request with that needed kube-apiserver: 503
// when it could not be reached or throttles this server, else the error itself. A 429 or
// 503 of this server (status.LocalError) says itself what there is too much of.
func Err(err error) error {
	if err != nil && Unavailable(err) && !status.IsLocal(err) { // to look at no error would allocate
		return status.Unavailable(5, "Kubernetes does not answer at the moment")
	}
	return err
}
