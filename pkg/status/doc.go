// Package status turns errors into answers: every error of the API that
// reaches a client is written here, as a metav1.Status in JSON, with the code
// the error carries. It also names the errors this server adds to those of
// k8s.io/apimachinery/pkg/api/errors. It imports API machinery only and may be
// imported by everything above it.
package status
