package cli

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/super-kubenetes/ks-apiserver/pkg/cli/kubeconfig"
	"github.com/super-kubenetes/ks-apiserver/pkg/cli/tokens"
)

// Environment is what the commands need of the machine.
type Environment struct {
	In       io.Reader
	Out, Err io.Writer
	// Password reads a password without showing it; nil where nobody is asked.
	Password func() (string, error)
	// Open shows an address in the browser.
	Open   func(address string) error
	Getenv func(string) string
	Now    func() time.Time
	// Executable is this program, as kubectl can call it.
	Executable func() (string, error)
}

// System is the machine this runs on.
func System() Environment {
	e := Environment{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Open: open, Getenv: os.Getenv, Now: time.Now, Executable: executable}
	if input := int(os.Stdin.Fd()); term.IsTerminal(input) {
		e.Password = func() (string, error) {
			password, err := term.ReadPassword(input)
			return string(password), err
		}
	}
	return e
}

// open shows an address with what the system has for it. The address is not
// read by a shell.
func open(address string) error {
	command, args := "xdg-open", []string{address}
	switch runtime.GOOS {
	case "darwin":
		command = "open"
	case "windows":
		command, args = "rundll32", []string{"url.dll,FileProtocolHandler", address}
	}
	started := exec.Command(command, args...) //nolint:gosec,noctx // it is to outlive us
	if err := started.Start(); err != nil {
		return err
	}
	return started.Process.Release()
}

// executable is the name of this program where it is found by it, else its path.
func executable() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", err
	}
	name := strings.TrimSuffix(filepath.Base(path), ".exe")
	if found, err := exec.LookPath(name); err == nil {
		if resolved, err := filepath.EvalSymlinks(found); err == nil {
			if itself, err := filepath.EvalSymlinks(path); err == nil && resolved == itself {
				return name, nil
			}
		}
	}
	return path, nil
}

// commands share what the flags say.
type commands struct {
	Environment
	file    kubeconfig.File
	context string
}

// New returns the command line.
func New(e Environment, version string) *cobra.Command {
	c := &commands{Environment: e}
	root := &cobra.Command{
		Use: "kubectl ks", Short: "Log in at ks-apiserver with kubectl", Version: version, SilenceUsage: true, SilenceErrors: true,
		Annotations: map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl ks"},
	}
	root.SetIn(e.In)
	root.SetOut(e.Out)
	root.SetErr(e.Err)
	root.PersistentFlags().StringVar(&c.file.Path, "kubeconfig", "", "kubeconfig to use instead of $KUBECONFIG or ~/.kube/config")
	root.PersistentFlags().StringVar(&c.context, "context", "", "context of the kubeconfig; for login the one to write, else the current one")
	root.AddCommand(c.loginCommand(), c.tokenCommand(), c.whoamiCommand(), c.logoutCommand())
	return root
}

func (c *commands) store() (*tokens.Store, error) {
	directory, err := tokens.DefaultDirectory(c.Getenv)
	return &tokens.Store{Directory: directory, Now: c.Now}, err
}
