package kubelet

import (
	"strings"
	"testing"
)

func TestCheckKubectl(t *testing.T) {
	for args, allowed := range map[string]bool{
		"": true, "get pods -A": true, "get pods -n x -oyaml": true, "get pods -o=jsonpath={.items}": true, "auth can-i --list": true, "version": true, "delete pod web": true,
		"apply -f /etc/passwd": false, "create configmap x --from-file=/etc/passwd": false, "exec web -- sh": false, "cp a b": false, "proxy": false, "config view": false, "edit pod web": false, "plugin list": false,
		"get pods --kubeconfig /root/.kube/config": false, "get -f /etc/passwd": false, "get -f/etc/passwd": false, "get --filename=/etc/passwd": false, "get -Rf /etc": false, "get -k /etc": false,
		"get pods -o go-template-file=/etc/passwd": false, "get pods -ojsonpath-file=/etc/passwd": false, "get pods --output=custom-columns-file=/etc/passwd": false,
		"get pods --cache-dir=/tmp": false, "get pods --profile-output=/etc/x": false, "--kubeconfig=/x get pods": false, "get pods --token-file=/x": false, "get --raw /": false, "get pods --template=/etc/passwd": false,
		"get pods -Af /etc/passwd": false, "get pods -wf/etc/passwd": false, "get pods -Aw": false, "get pods -nkube-system": true, "delete --all pods -f x": false, "delete pods -ljob=a -f=/etc/passwd": false,
	} {
		if err := checkKubectl(strings.Fields(args)); (err == nil) != allowed {
			t.Errorf("kubectl %s: %v", args, err)
		}
	}
}

func TestReducedKubeconfig(t *testing.T) {
	const config = `{"apiVersion":"v1","kind":"Config","current-context":"c",
		"contexts":[{"name":"c","context":{"cluster":"k","user":"u","namespace":"default"}}],
		"clusters":[{"name":"k","cluster":{"server":"https://127.0.0.1:1","certificate-authority":"/etc/passwd","proxy-url":"http://elsewhere"}}],
		"users":[{"name":"u","user":{"token":"secret","tokenFile":"/etc/passwd","client-key":"/etc/passwd","exec":{"apiVersion":"client.authentication.k8s.io/v1","command":"sh"}}}]}`
	got, err := reducedKubeconfig(config)
	if err != nil {
		t.Fatal(err)
	}
	user, cluster := got.AuthInfos["devcluster"], got.Clusters["devcluster"]
	if user.Token != "secret" || user.TokenFile != "" || user.Exec != nil || user.ClientKey != "" || cluster.CertificateAuthority != "" || cluster.ProxyURL != "" || cluster.Server != "https://127.0.0.1:1" {
		t.Errorf("%+v %+v", user, cluster)
	}
	for _, text := range []string{"", "{}", strings.ReplaceAll(config, "https:", "http:"), strings.ReplaceAll(config, `"current-context":"c"`, `"current-context":"d"`)} {
		if _, err := reducedKubeconfig(text); err == nil {
			t.Errorf("taken: %.60s", text)
		}
	}
}
