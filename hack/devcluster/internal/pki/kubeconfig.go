package pki

import (
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// clusterName is the name of cluster and context in every kubeconfig.
const clusterName = "devcluster"

// WriteKubeconfig writes a self-contained kubeconfig for one of the client
// certificates, atomically, so that whoever waits for the file never reads
// half of it.
func (s *Store) WriteKubeconfig(path, server, client string) error {
	config, err := s.kubeconfig(server, client)
	if err != nil {
		return fmt.Errorf("kubeconfig of %s: %w", client, err)
	}
	data, err := clientcmd.Write(*config)
	if err != nil {
		return fmt.Errorf("encode the kubeconfig of %s: %w", client, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write the kubeconfig of %s: %w", client, err)
	}
	if err := writeFile(path, data); err != nil {
		return fmt.Errorf("write the kubeconfig of %s: %w", client, err)
	}
	return nil
}

func (s *Store) kubeconfig(server, client string) (*clientcmdapi.Config, error) {
	ca, err := os.ReadFile(s.Cert(CA))
	if err != nil {
		return nil, err
	}
	cert, err := os.ReadFile(s.Cert(client))
	if err != nil {
		return nil, err
	}
	key, err := os.ReadFile(s.Key(client))
	if err != nil {
		return nil, err
	}
	config := clientcmdapi.NewConfig()
	config.Clusters[clusterName] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: ca}
	config.AuthInfos[client] = &clientcmdapi.AuthInfo{ClientCertificateData: cert, ClientKeyData: key}
	config.Contexts[clusterName] = &clientcmdapi.Context{Cluster: clusterName, AuthInfo: client}
	config.CurrentContext = clusterName
	return config, nil
}
