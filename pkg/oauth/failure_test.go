package oauth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
)

// failing is a password provider that cannot be reached.
type failing struct{}

func (failing) Authenticate(context.Context, string, string) (identity.External, error) {
	return identity.External{}, fmt.Errorf("%w: connecting to the directory at 192.0.2.1:389: i/o timeout", identity.ErrUnavailable)
}

// TestProviderFailureIsLogged: the client is told nothing of a provider that cannot
// be reached, the log its name, address and error.
func TestProviderFailureIsLogged(t *testing.T) {
	var logged bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&logged, nil)))
	defer slog.SetDefault(before)
	h := &Handler{Providers: one{only: &identity.Provider{Name: "ldap", Password: failing{}}}, External: &directory{}}
	r := httptest.NewRequest(http.MethodPost, "/oauth/token", nil)
	_, err := h.checkPassword(r.WithContext(request.NewContext(r.Context(), request.Origin{ID: "the-id"}, nil)), "ldap", "jane", "secret-of-jane", "Token")
	var answer *Error
	if !errors.As(translate(err), &answer) || answer.Status != http.StatusServiceUnavailable || strings.Contains(answer.Description, "192.0.2.1") {
		t.Errorf("the client is told %v", answer)
	}
	for _, want := range []string{"identity provider failed", "id=the-id", "provider=ldap", "192.0.2.1:389", "i/o timeout"} {
		if !strings.Contains(logged.String(), want) {
			t.Errorf("%q is not in %s", want, logged.String())
		}
	}
	if strings.Contains(logged.String(), "secret-of-jane") {
		t.Errorf("logged %s", logged.String())
	}
}

// one is the only provider.
type one struct{ only *identity.Provider }

func (o one) Provider(context.Context, string) (*identity.Provider, error) { return o.only, nil }

func (o one) List(context.Context) ([]*identity.Provider, error) {
	return []*identity.Provider{o.only}, nil
}
