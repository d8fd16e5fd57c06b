package kubeconfig

import (
	"errors"
	"fmt"
	"slices"

	"k8s.io/client-go/tools/clientcmd"
	api "k8s.io/client-go/tools/clientcmd/api"
)

// Plugin is the version of the protocol kubectl and the plugin speak.
const Plugin = "client.authentication.k8s.io/v1"

// Options of the plugin.
const (
	FlagExec  = "--exec-credential"
	FlagLogin = "--login"
)

// File is a kubeconfig, or several that are one (KUBECONFIG).
type File struct {
	// Path is the one file to use; those of KUBECONFIG, or the default, if empty.
	Path string
}

// Entry is a context of ours.
type Entry struct {
	Context string
	Server  string
	// CertificateAuthority is in PEM.
	CertificateAuthority  []byte
	InsecureSkipTLSVerify bool
	// Command is the plugin, Login what it calls the login.
	Command string
	Login   string
}

func (f File) access() clientcmd.ConfigAccess {
	options := clientcmd.NewDefaultPathOptions()
	options.LoadingRules.ExplicitPath = f.Path
	return options
}

// Write adds a context, or replaces one of ours, and makes it the current one.
func (f File) Write(entry *Entry) error {
	access := f.access()
	config, err := access.GetStartingConfig()
	if err != nil {
		return fmt.Errorf("the kubeconfig: %w", err)
	}
	name := entry.Context
	if _, taken := config.Contexts[name]; taken && loginOf(config, name) == "" {
		return fmt.Errorf("the kubeconfig has a context %s already, name another one with --context", name)
	}
	for kind, taken := range map[string]bool{"cluster": config.Clusters[name] != nil, "user": config.AuthInfos[name] != nil} {
		if taken && loginOf(config, name) == "" {
			return fmt.Errorf("the kubeconfig has a %s %s already, name another context with --context", kind, name)
		}
	}
	cluster, user, context := api.NewCluster(), api.NewAuthInfo(), api.NewContext()
	cluster.Server, cluster.CertificateAuthorityData, cluster.InsecureSkipTLSVerify = entry.Server, entry.CertificateAuthority, entry.InsecureSkipTLSVerify
	user.Exec = &api.ExecConfig{
		APIVersion: Plugin, Command: entry.Command, Args: []string{"token", FlagExec, FlagLogin, entry.Login}, InteractiveMode: api.NeverExecInteractiveMode,
		InstallHint: "kubectl-ks is part of ks-apiserver. It has to be where " + entry.Command + " is.",
	}
	context.Cluster, context.AuthInfo = name, name
	if before := config.Contexts[name]; before != nil {
		context.Namespace = before.Namespace
	}
	config.Clusters[name], config.AuthInfos[name], config.Contexts[name], config.CurrentContext = cluster, user, context, name
	return clientcmd.ModifyConfig(access, *config, false)
}

// ErrNoLogin is a context that is none of ours.
var ErrNoLogin = errors.New("the context is not one of kubectl ks login")

// Login returns the name of a context, the current one if empty, and what the
// plugin calls its login.
func (f File) Login(context string) (name, login string, err error) {
	config, err := f.access().GetStartingConfig()
	if err != nil {
		return "", "", fmt.Errorf("the kubeconfig: %w", err)
	}
	if name = context; name == "" {
		name = config.CurrentContext
	}
	if login = loginOf(config, name); login == "" {
		return name, "", ErrNoLogin
	}
	return name, login, nil
}

// Remove removes a context of ours with its cluster and user.
func (f File) Remove(name string) error {
	access := f.access()
	config, err := access.GetStartingConfig()
	if err != nil {
		return fmt.Errorf("the kubeconfig: %w", err)
	}
	if loginOf(config, name) == "" {
		return ErrNoLogin
	}
	context := config.Contexts[name]
	delete(config.Contexts, name)
	for _, other := range config.Contexts { // somebody may have made another one of the same parts
		if other.Cluster == context.Cluster {
			context.Cluster = ""
		}
		if other.AuthInfo == context.AuthInfo {
			context.AuthInfo = ""
		}
	}
	delete(config.Clusters, context.Cluster)
	delete(config.AuthInfos, context.AuthInfo)
	if config.CurrentContext == name {
		config.CurrentContext = ""
	}
	return clientcmd.ModifyConfig(access, *config, false)
}

// loginOf is the login of a context, "" for one that is none of ours.
func loginOf(config *api.Config, context string) string {
	found := config.Contexts[context]
	if found == nil || config.AuthInfos[found.AuthInfo] == nil || config.AuthInfos[found.AuthInfo].Exec == nil {
		return ""
	}
	args := config.AuthInfos[found.AuthInfo].Exec.Args
	if at := slices.Index(args, FlagLogin); at >= 0 && at+1 < len(args) && slices.Contains(args, FlagExec) {
		return args[at+1]
	}
	return ""
}
