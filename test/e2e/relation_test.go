//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

const claim = `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: related, namespace: default}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: related, namespace: default}
spec:
  containers: [{name: main, image: "busybox:1"}]
  volumes: [{name: data, persistentVolumeClaim: {claimName: related}}]
`

// A claim says whether it is in use, a storage class how many claims it has,
// and both follow what happens to pods and claims.
func TestStorageAnnotations(t *testing.T) {
	t.Parallel()
	token := shared.login(t).AccessToken
	annotation := func(path, name string) string {
		t.Helper()
		r := shared.get(t, viewer+path, bearer(token))
		if r.code != http.StatusOK {
			return fmt.Sprintf("%d %.100s", r.code, r.body)
		}
		return decode[struct {
			Metadata struct{ Annotations map[string]string }
		}](t, r).Metadata.Annotations["kubesphere.io/"+name]
	}
	is := func(path, name, want string) {
		t.Helper()
		wait.For(t, "the relation to be shown", func() error {
			if got := annotation(path, name); got != want {
				return fmt.Errorf("%s of %s is %q, want %q", name, path, got, want)
			}
			return nil
		})
	}
	const one = "/namespaces/default/persistentvolumeclaims/related"
	before := annotation("/storageclasses/local", "pvc-count")
	if output, err := kubectl(t, token, claim, "apply", "-f", "-"); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	is(one, "in-use", "true")
	is(one, "allow-snapshot", "false")
	var count int
	if _, err := fmt.Sscan(before, &count); err != nil {
		t.Fatalf("pvc-count %q: %v", before, err)
	}
	is("/storageclasses/local", "pvc-count", fmt.Sprint(count+1))
	if r := shared.get(t, viewer+"/namespaces/default/pods?pvcName=related", bearer(token)); *decode[list](t, r).TotalItems != 1 {
		t.Errorf("pods of the claim: %.300s", r.body)
	}
	if output, err := kubectl(t, token, "", "delete", "pod", "related", "--now"); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	is(one, "in-use", "false")
	if output, err := kubectl(t, token, "", "delete", "pvc", "related"); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	is("/storageclasses/local", "pvc-count", before)
}
