package kube

import (
	"testing"

	"k8s.io/apiserver/pkg/authentication/user"
)

// TestHolder: nobody has the share of another, and nobody has more shares than one: not by
// impersonation, not by service accounts of projects.
func TestHolder(t *testing.T) {
	mallory := &user.DefaultInfo{Name: "mallory"}
	if name := Holder(&Another{DefaultInfo: user.DefaultInfo{Name: "jane"}, By: mallory}); name != "mallory" {
		t.Errorf("who acts as another has the share of %s", name)
	}
	of := func(namespace, name string) string {
		return Holder(&user.DefaultInfo{Name: "system:serviceaccount:" + namespace + ":" + name})
	}
	if of("n", "a") != of("m", "b") || of("kube-system", "a") != of("kube-system", "b") || of("kube-system", "a") == of("n", "a") || of("kube-system", "a") == of("kubesphere-system", "a") {
		t.Errorf("the service accounts have the shares of %s, %s and %s", of("n", "a"), of("m", "b"), of("kube-system", "a"))
	}
}
