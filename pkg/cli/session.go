package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientauthentication "k8s.io/client-go/pkg/apis/clientauthentication/v1"

	"github.com/super-kubenetes/ks-apiserver/pkg/cli/kubeconfig"
	"github.com/super-kubenetes/ks-apiserver/pkg/cli/login"
	"github.com/super-kubenetes/ks-apiserver/pkg/cli/tokens"
)

// valid returns a login that can be used: the named one, or that of the context.
func (c *commands) valid(ctx context.Context, id string) (*tokens.Login, error) {
	if id == "" {
		name, found, err := c.file.Login(c.context)
		if err != nil {
			return nil, notOurs(name, err)
		}
		id = found
	}
	store, err := c.store()
	if err != nil {
		return nil, err
	}
	current, err := store.Valid(ctx, id, login.Refresh)
	if errors.Is(err, tokens.ErrNotLoggedIn) {
		return nil, fmt.Errorf("%w, or not any more: run kubectl ks login", tokens.ErrNotLoggedIn)
	}
	return current, err
}

// notOurs says which context is not one of ours.
func notOurs(name string, err error) error {
	if !errors.Is(err, kubeconfig.ErrNoLogin) {
		return err
	}
	if name == "" {
		return errors.New("the kubeconfig has no current context, run kubectl ks login")
	}
	return fmt.Errorf("the context %s is not one of kubectl ks login", name)
}

func (c *commands) tokenCommand() *cobra.Command {
	id, forKubectl := "", false
	cmd := &cobra.Command{
		Use: "token", Short: "Print an access token that is valid", Args: cobra.NoArgs,
		Long: "Prints the access token of a context, renewed when it has to be. kubectl calls this by itself.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			current, err := c.valid(cmd.Context(), id)
			if err != nil {
				return err
			}
			if !forKubectl {
				_, err := fmt.Fprintln(c.Out, current.AccessToken)
				return err
			}
			expiry := metav1.NewTime(current.Expiry)
			return json.NewEncoder(c.Out).Encode(clientauthentication.ExecCredential{
				TypeMeta: metav1.TypeMeta{APIVersion: kubeconfig.Plugin, Kind: "ExecCredential"},
				Status:   &clientauthentication.ExecCredentialStatus{ExpirationTimestamp: &expiry, Token: current.AccessToken},
			})
		},
	}
	cmd.Flags().BoolVar(&forKubectl, "exec-credential", false, "print an ExecCredential, as kubectl wants it")
	cmd.Flags().StringVar(&id, "login", "", "login to use instead of that of a context, as kubectl names it")
	return cmd
}

func (c *commands) whoamiCommand() *cobra.Command {
	return &cobra.Command{
		Use: "whoami", Short: "Say who is logged in", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			current, err := c.valid(cmd.Context(), "")
			if err != nil {
				return err
			}
			service, err := login.Connect(cmd.Context(), current)
			if err != nil {
				return err
			}
			who, err := service.WhoAmI(cmd.Context(), current.AccessToken)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.Out, "%s at %s\n", called(who), current.Server)
			return err
		},
	}
}

func (c *commands) logoutCommand() *cobra.Command {
	return &cobra.Command{
		Use: "logout", Short: "Log out and remove the context", Args: cobra.NoArgs,
		Long: "Ends the login at the server, forgets the tokens and removes the context from the kubeconfig. What cannot be told to the server is forgotten here nevertheless.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			name, id, err := c.file.Login(c.context)
			if err != nil {
				return notOurs(name, err)
			}
			store, err := c.store()
			if err != nil {
				return err
			}
			revoked := c.revoke(ctx, store, id)
			if err := errors.Join(store.Delete(ctx, id), c.file.Remove(name)); err != nil {
				return errors.Join(err, revoked)
			}
			if revoked != nil {
				return fmt.Errorf("you are logged out here, but the server could not be told: %w", revoked)
			}
			_, _ = fmt.Fprintf(c.Err, "You are logged out, and the context %s is removed.\n", name)
			return nil
		},
	}
}

// revoke ends a login at the server, if there is one.
func (c *commands) revoke(ctx context.Context, store *tokens.Store, id string) error {
	current, err := store.Load(id)
	if err != nil {
		if errors.Is(err, tokens.ErrNotLoggedIn) {
			return nil
		}
		return err
	}
	service, err := login.Connect(ctx, current)
	if err != nil {
		return err
	}
	return service.Revoke(ctx, current)
}
