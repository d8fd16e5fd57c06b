// Package access tests who may do what: every operation of the API, and what
// matters of Kubernetes', for every built-in role in every place. The answers
// are a table people can review, matrix.tsv; go test -update writes it anew.
package access
