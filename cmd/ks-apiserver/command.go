package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/super-kubenetes/ks-apiserver/pkg/app"
	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/heap"
)

// flags are the options of the command line. They override the file and the
// environment, but only where they are given.
type flags struct {
	configFile string
	config.Kubernetes
	config.Server
}

func newCommand() *cobra.Command {
	f := &flags{}
	root := &cobra.Command{
		Use:           "ks-apiserver",
		Short:         "Serve KubeSphere's API in front of Kubernetes",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			effective, err := f.load(cmd)
			if err != nil {
				return err
			}
			logTo(cmd.ErrOrStderr(), effective.Server.Debug)
			if os.Getenv("GOGC") == "" { // else somebody knows better
				go heap.Keep(cmd.Context(), garbage)
			}
			return app.Run(cmd.Context(), app.Options{Config: effective, Reload: func() (*config.Config, error) { return f.load(cmd) }})
		},
	}
	defaults := config.Default()
	set := root.PersistentFlags()
	set.StringVar(&f.configFile, "config", "", "configuration file (default "+config.DefaultPath+", when it exists)")
	set.StringVar(&f.KubeConfig, "kubeconfig", "", "kubeconfig of the cluster; in a pod none is needed")
	set.StringVar(&f.Master, "master", "", "address of kube-apiserver, overrides the kubeconfig")
	set.StringVar(&f.BindAddress, "bind-address", defaults.Server.BindAddress, "address to listen on")
	set.IntVar(&f.InsecurePort, "insecure-port", defaults.Server.InsecurePort, "port for HTTP; 0 for none when there is a secure port, else for one chosen by the system")
	set.IntVar(&f.SecurePort, "secure-port", defaults.Server.SecurePort, "port for HTTPS; 0 for none")
	set.StringVar(&f.TLSCertFile, "tls-cert-file", "", "certificate for HTTPS, in PEM")
	set.StringVar(&f.TLSPrivateKey, "tls-private-key", "", "private key for HTTPS, in PEM")
	set.BoolVar(&f.Debug, "debug", false, "log every request")
	root.AddCommand(newConfigCommand(f), newVersionCommand(), newOpenAPICommand())
	return root
}

// garbage is how much of it may gather between collections, in bytes.
const garbage = 64 << 20

// load returns the effective configuration: file, environment, flags.
func (f *flags) load(cmd *cobra.Command) (*config.Config, error) {
	effective, err := config.Load(f.configFile, os.Environ())
	if err != nil {
		return nil, err
	}
	for name, apply := range map[string]func(){
		"kubeconfig":      func() { effective.Kubernetes.KubeConfig = f.KubeConfig },
		"master":          func() { effective.Kubernetes.Master = f.Master },
		"bind-address":    func() { effective.Server.BindAddress = f.BindAddress },
		"insecure-port":   func() { effective.Server.InsecurePort = f.InsecurePort },
		"secure-port":     func() { effective.Server.SecurePort = f.SecurePort },
		"tls-cert-file":   func() { effective.Server.TLSCertFile = f.TLSCertFile },
		"tls-private-key": func() { effective.Server.TLSPrivateKey = f.TLSPrivateKey },
		"debug":           func() { effective.Server.Debug = f.Debug },
	} {
		if cmd.Flags().Changed(name) {
			apply()
		}
	}
	return effective, nil
}

// logTo sends our log and that of the Kubernetes libraries to one place. Theirs
// have one logger for the whole process, which is why this is done here and nowhere else.
func logTo(w io.Writer, debug bool) {
	level := slog.LevelInfo
	if debug {
		level = slog.LevelDebug
	}
	logger := slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
	slog.SetDefault(logger)
	klog.SetSlogLogger(logger)
	ctrllog.SetLogger(logr.FromSlogHandler(logger.Handler()))
}

func newConfigCommand(f *flags) *cobra.Command {
	return &cobra.Command{
		Use:   "config",
		Short: "Print the effective configuration, with secrets masked",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			effective, err := f.load(cmd)
			if err != nil {
				return err
			}
			printed, err := effective.Print()
			if err != nil {
				return err
			}
			if _, err := cmd.OutOrStdout().Write(printed); err != nil {
				return err
			}
			return effective.Validate()
		},
	}
}

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			printed, err := json.MarshalIndent(app.Build(), "", "  ")
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), string(printed))
			return err
		},
	}
}

func newOpenAPICommand() *cobra.Command {
	v3 := false
	cmd := &cobra.Command{
		Use:   "openapi",
		Short: "Print the OpenAPI document of the API",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			document, err := app.Document(v3)
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(document)
			return err
		},
	}
	cmd.Flags().BoolVar(&v3, "v3", false, "OpenAPI 3.0 instead of Swagger 2.0")
	return cmd
}
