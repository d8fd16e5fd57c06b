package kubelet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// kubectlCommand runs the kubectl next to this program with the server, the
// authority and the token of the container's kubeconfig. It is the one program
// of this machine a container runs, so that what could reach files or other
// programs here is refused: commands and flags are taken from lists.
func kubectlCommand(ctx context.Context, sh *shell, args []string) int {
	if err := checkKubectl(args); err != nil {
		return sh.fail("kubectl: %v", err)
	}
	config, err := reducedKubeconfig(sh.files[sh.absolute(sh.env["KUBECONFIG"])])
	if err != nil {
		return sh.fail("kubectl: %v", err)
	}
	self, err := os.Executable()
	if err != nil {
		return sh.fail("kubectl: %v", err)
	}
	home, err := os.MkdirTemp("", "devcluster-kubectl")
	if err != nil {
		return sh.fail("kubectl: %v", err)
	}
	defer os.RemoveAll(home)
	file := filepath.Join(home, "config")
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		return sh.fail("kubectl: %v", err)
	}
	command := exec.CommandContext(ctx, filepath.Join(filepath.Dir(self), "kubectl"), args...)
	command.Dir, command.Env = home, []string{"HOME=" + home, "KUBECONFIG=" + file}
	command.Stdout, command.Stderr = sh.out, sh.errOut
	err = command.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return max(exit.ExitCode(), 1)
	case err != nil:
		fmt.Fprintf(sh.errOut, "kubectl: %v\n", err)
		return exitNotFound
	}
	return 0
}

// reducedKubeconfig is what of a kubeconfig names no file and no program.
func reducedKubeconfig(content string) (*clientcmdapi.Config, error) {
	loaded, err := clientcmd.Load([]byte(content))
	if err != nil {
		return nil, fmt.Errorf("the kubeconfig: %w", err)
	}
	current, ok := loaded.Contexts[loaded.CurrentContext]
	if !ok || loaded.Clusters[current.Cluster] == nil || loaded.AuthInfos[current.AuthInfo] == nil {
		return nil, errors.New("there is no kubeconfig")
	}
	cluster, user := clientcmdapi.NewCluster(), clientcmdapi.NewAuthInfo()
	cluster.Server = loaded.Clusters[current.Cluster].Server
	cluster.CertificateAuthorityData = loaded.Clusters[current.Cluster].CertificateAuthorityData
	user.Token = loaded.AuthInfos[current.AuthInfo].Token
	if !strings.HasPrefix(cluster.Server, "https://") {
		return nil, errors.New("the server of the kubeconfig is not https://")
	}
	reduced := clientcmdapi.NewConfig()
	reduced.CurrentContext = "devcluster"
	reduced.Clusters["devcluster"], reduced.AuthInfos["devcluster"] = cluster, user
	reduced.Contexts["devcluster"] = &clientcmdapi.Context{Cluster: "devcluster", AuthInfo: "devcluster", Namespace: current.Namespace}
	return reduced, nil
}

var kubectlCommands = words("annotate api-resources api-versions auth cluster-info cordon delete describe events explain expose get help label logs rollout scale uncordon version wait")

// kubectlFlags have no file and no program as their value, whatever it is.
var kubectlFlags = words("-A --all-namespaces -n --namespace -l --selector --field-selector -w --watch --watch-only --show-labels --show-kind " +
	"--no-headers --sort-by --limit --chunk-size --list --as --as-group --all --now --grace-period --timeout --for --replicas --port --target-port --type --name " +
	"-c --container --previous --tail --since --timestamps --all-containers --overwrite --dry-run --cascade --ignore-not-found --namespaced --api-group " +
	"--verbs --recursive --short --client -h --help -o --output -L --label-columns --to-revision --revision --subresource")

func words(text string) map[string]bool {
	set := map[string]bool{}
	for _, word := range strings.Fields(text) {
		set[word] = true
	}
	return set
}

// checkKubectl refuses what is not in the lists.
func checkKubectl(args []string) error {
	if len(args) > 0 && !kubectlCommands[args[0]] {
		return fmt.Errorf("the command %q is not available here", args[0])
	}
	for n, arg := range args {
		if !strings.HasPrefix(arg, "-") {
			continue
		}
		name, value, given := strings.Cut(arg, "=")
		if !strings.HasPrefix(arg, "--") && len(arg) > 2 { // as in -oyaml, and not several flags in one
			if !strings.ContainsAny(arg[1:2], "nlocL") {
				return fmt.Errorf("the flags %q are not available here", arg)
			}
			name, value, given = arg[:2], strings.TrimPrefix(arg[2:], "="), true
		}
		if !kubectlFlags[name] {
			return fmt.Errorf("the flag %q is not available here", name)
		}
		if !given && n+1 < len(args) {
			value = args[n+1]
		}
		if (name == "-o" || name == "--output") && strings.Contains(value, "file") {
			return errors.New("no output is read from a file here")
		}
	}
	return nil
}
