//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubeclient "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// accountDirectory has the account of ks-apiserver with its rights.
const accountDirectory = "../../hack/account"

// accounts are the kubeconfigs of servers by those of the administrators of their
// clusters.
var accounts = struct {
	sync.Mutex
	files map[string]string
}{files: make(map[string]string)}

// asAccount returns a kubeconfig with which a server has the rights it is deployed with,
// and no more.
func asAccount(administrator string) (string, error) {
	accounts.Lock()
	defer accounts.Unlock()
	if file := accounts.files[administrator]; file != "" {
		return file, nil
	}
	output, err := exec.Command("../../bin/kubectl", "--kubeconfig", administrator, "apply", "-k", accountDirectory).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("the account of the server: %w\n%s", err, output)
	}
	config, err := clientcmd.LoadFromFile(administrator)
	if err != nil {
		return "", err
	}
	rest, err := clientcmd.NewDefaultClientConfig(*config, nil).ClientConfig()
	if err != nil {
		return "", err
	}
	c, err := kubeclient.NewForConfig(rest)
	if err != nil {
		return "", err
	}
	seconds := int64(24 * time.Hour / time.Second)
	token, err := c.CoreV1().ServiceAccounts("kubesphere-system").CreateToken(context.Background(), "ks-apiserver",
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}, metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	for name := range config.AuthInfos {
		config.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: token.Status.Token}
	}
	dir, err := os.MkdirTemp("", "ks-apiserver-e2e")
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "kubeconfig")
	accounts.files[administrator] = file
	return file, clientcmd.WriteToFile(*config, file)
}

// asAdministrator keeps a kubeconfig as it is: a server whose cluster does not run yet has
// no account.
func asAdministrator(kubeconfig string) string {
	accounts.Lock()
	defer accounts.Unlock()
	accounts.files[kubeconfig] = kubeconfig
	return kubeconfig
}

// ownToken returns the token of the account that the shared server has.
func ownToken(t *testing.T) string {
	t.Helper()
	file, err := asAccount(os.Getenv("KUBECONFIG"))
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", file)
	if err != nil {
		t.Fatal(err)
	}
	return config.BearerToken
}
