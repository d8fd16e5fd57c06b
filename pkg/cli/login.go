package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/oauth2"

	"github.com/super-kubenetes/ks-apiserver/pkg/cli/kubeconfig"
	"github.com/super-kubenetes/ks-apiserver/pkg/cli/login"
	"github.com/super-kubenetes/ks-apiserver/pkg/cli/tokens"
)

// client is the OAuth client of this program: a public one, as it can keep no secret.
const client = "kubectl-ks"

// mostPassword bounds what is read as a password, in bytes.
const mostPassword = 64 << 10

// loginOptions are the flags of login.
type loginOptions struct {
	password, device, passwordStdin bool
	username, provider              string
	clientID                        string
	certificateAuthority            string
	insecure                        bool
}

func (c *commands) loginCommand() *cobra.Command {
	o := &loginOptions{}
	cmd := &cobra.Command{
		Use: "login https://SERVER", Short: "Log in and write a context for kubectl", Args: cobra.ExactArgs(1),
		Long: "Logs in at ks-apiserver, in the browser unless told otherwise, and makes a context of the kubeconfig that reaches Kubernetes through it the current one. Tokens are kept in the cache directory and renewed by themselves.",
		RunE: func(cmd *cobra.Command, args []string) error { return c.login(cmd.Context(), args[0], o) },
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.device, "device", false, "log in on another device, with a code")
	flags.BoolVar(&o.password, "password", false, "ask for name and password here")
	flags.BoolVar(&o.passwordStdin, "password-stdin", false, "read the password from standard input")
	flags.StringVarP(&o.username, "username", "u", "", "name to log in with, for --password and --password-stdin")
	flags.StringVar(&o.provider, "provider", "", "identity provider that checks the password, such as an LDAP")
	flags.StringVar(&o.clientID, "client-id", client, "OAuth client to log in as")
	flags.StringVar(&o.certificateAuthority, "certificate-authority", "", "file with the certificates that vouch for the server, in PEM")
	flags.BoolVar(&o.insecure, "insecure-skip-tls-verify", false, "believe any server: tokens may go to somebody else")
	cmd.MarkFlagsMutuallyExclusive("device", "password", "password-stdin")
	cmd.MarkFlagsMutuallyExclusive("certificate-authority", "insecure-skip-tls-verify")
	return cmd
}

func (c *commands) login(ctx context.Context, address string, o *loginOptions) error {
	server, err := login.Server(address)
	if err != nil {
		return err
	}
	if server.Scheme != "https" {
		return login.RefusePlain(ctx, server)
	}
	wanted := &tokens.Login{Server: server.String(), ClientID: o.clientID, InsecureSkipTLSVerify: o.insecure}
	if o.certificateAuthority != "" {
		content, err := os.ReadFile(o.certificateAuthority)
		if err != nil {
			return err
		}
		wanted.CertificateAuthority = string(content)
	}
	if o.insecure {
		_, _ = fmt.Fprintln(c.Err, "Warning: the server's certificate is not checked.")
	}
	service, err := login.Connect(ctx, wanted)
	if err != nil {
		return err
	}
	token, err := c.authenticate(ctx, service, o)
	if err != nil {
		return err
	}
	wanted = login.Renewed(wanted, token)
	name := c.context
	if name == "" {
		name = "ks-" + strings.ReplaceAll(server.Host, ":", "-")
	}
	if err := c.keep(ctx, name, wanted); err != nil {
		return errors.Join(err, service.Revoke(ctx, wanted))
	}
	who := ""
	if found, err := service.WhoAmI(ctx, wanted.AccessToken); err == nil {
		who = " as " + called(found)
	}
	_, _ = fmt.Fprintf(c.Err, "You are logged in at %s%s. kubectl uses the context %s now.\n", wanted.Server, who, name)
	return nil
}

// keep stores a login and makes its context the current one. The login belongs to
// this entry of this kubeconfig: another kubeconfig may have a context of the same
// name for somebody else. The one it replaces is ended.
func (c *commands) keep(ctx context.Context, name string, wanted *tokens.Login) error {
	id, err := tokens.NewID()
	if err != nil {
		return err
	}
	command, err := c.Executable()
	if err != nil {
		return err
	}
	store, err := c.store()
	if err != nil {
		return err
	}
	_, replaced, err := c.file.Login(name)
	if err != nil && !errors.Is(err, kubeconfig.ErrNoLogin) {
		return err
	}
	if err := store.Save(ctx, id, wanted); err != nil {
		return err
	}
	if err := c.file.Write(&kubeconfig.Entry{
		Context: name, Server: wanted.Server, CertificateAuthority: []byte(wanted.CertificateAuthority), InsecureSkipTLSVerify: wanted.InsecureSkipTLSVerify, Command: command, Login: id,
	}); err != nil {
		return errors.Join(err, store.Delete(ctx, id))
	}
	if replaced == "" {
		return nil
	}
	if err := errors.Join(c.revoke(ctx, store, replaced), store.Delete(ctx, replaced)); err != nil {
		_, _ = fmt.Fprintf(c.Err, "Warning: the login that was replaced could not be ended: %v\n", err)
	}
	return nil
}

func (c *commands) authenticate(ctx context.Context, service *login.Service, o *loginOptions) (*oauth2.Token, error) {
	switch {
	case o.device:
		return service.Device(ctx, c.Err)
	case o.password, o.passwordStdin:
		name, password, err := c.credentials(o)
		if err != nil {
			return nil, err
		}
		return service.Password(ctx, name, password, o.provider)
	}
	return service.Browser(ctx, c.Err, c.Open)
}

// credentials asks for a name and a password.
func (c *commands) credentials(o *loginOptions) (name, password string, err error) {
	name = o.username
	if o.passwordStdin {
		if name == "" {
			return "", "", errors.New("--password-stdin needs --username")
		}
		content, err := io.ReadAll(io.LimitReader(c.In, mostPassword+1))
		if err != nil {
			return "", "", err
		}
		password = strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
		if password == "" || len(content) > mostPassword {
			return "", "", errors.New("there is no password in the standard input")
		}
		return name, password, nil
	}
	if c.Password == nil {
		return "", "", errors.New("there is no terminal to ask for the password, use --password-stdin")
	}
	if name == "" {
		_, _ = fmt.Fprint(c.Err, "Username: ")
		line, err := bufio.NewReader(io.LimitReader(c.In, mostPassword)).ReadString('\n')
		if name = strings.TrimSpace(line); name == "" {
			return "", "", errors.Join(errors.New("a name is needed"), err)
		}
	}
	_, _ = fmt.Fprint(c.Err, "Password: ")
	password, err = c.Password()
	_, _ = fmt.Fprintln(c.Err)
	if err == nil && password == "" {
		err = errors.New("a password is needed")
	}
	return name, password, err
}

// called is what somebody is called.
func called(who login.Who) string {
	if who.Username != "" {
		return who.Username
	}
	return who.Subject
}
