package login

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"golang.org/x/oauth2"
)

// patience is how long somebody may take in the browser.
const patience = 10 * time.Minute

// returned is what the browser came back with.
type returned struct{ code, refusal string }

// Browser logs in by authorization code with PKCE, on a page of the server. The
// browser comes back to a port of this machine (RFC 8252 §7.3). Open shows an
// address in the browser; what it is is also told, for when that fails.
func (s *Service) Browser(ctx context.Context, tell io.Writer, open func(string) error) (*oauth2.Token, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	config, state, verifier := s.config(), rand.Text(), oauth2.GenerateVerifier()
	config.RedirectURL = "http://" + listener.Addr().String() + "/callback"
	came := make(chan returned, 1)
	server := &http.Server{Handler: s.callback(state, came), ReadHeaderTimeout: timeout, MaxHeaderBytes: 64 << 10}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = server.Shutdown(ending) // the page is still on its way
		_ = server.Close()
	}()

	address := config.AuthCodeURL(state, oauth2.S256ChallengeOption(verifier))
	_, _ = fmt.Fprintf(tell, "Log in in the browser. If none opens, go to\n\n  %s\n\n", address)
	if err := open(address); err != nil {
		_, _ = fmt.Fprintf(tell, "No browser could be opened: %v\n", err)
	}
	select {
	case back := <-came:
		if back.code == "" {
			return nil, fmt.Errorf("the login was refused: %s", printable(back.refusal))
		}
		token, err := config.Exchange(s.context(ctx), back.code, oauth2.VerifierOption(verifier))
		return token, explain(err)
	case err := <-served:
		return nil, err
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return nil, errors.New("nobody logged in in time")
		}
		return nil, ctx.Err()
	}
}

// callback takes the browser's return, once. Others on this machine can reach
// it, but do not know the state.
func (s *Service) callback(state string, came chan<- returned) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /callback", func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Referrer-Policy", "no-referrer")
		// An answer of another server is none (RFC 9207).
		issuer := query.Get("iss")
		if subtle.ConstantTimeCompare([]byte(query.Get("state")), []byte(state)) != 1 || issuer != "" && s.metadata.Issuer != "" && issuer != s.metadata.Issuer {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, "This is not the login the command line waits for.\n")
			return
		}
		back := returned{code: query.Get("code"), refusal: query.Get("error")}
		text := "You are logged in. You can close this page and go back to the command line.\n"
		if back.code == "" {
			text = "The login was refused. The command line says why.\n"
		}
		_, _ = io.WriteString(w, text)
		select {
		case came <- back:
		default: // the page was loaded again
		}
	})
	return mux
}

// Device logs in on another device (RFC 8628).
func (s *Service) Device(ctx context.Context, tell io.Writer) (*oauth2.Token, error) {
	ctx = s.context(ctx)
	config := s.config()
	waiting, err := config.DeviceAuth(ctx)
	if err != nil {
		return nil, explain(err)
	}
	_, _ = fmt.Fprintf(tell, "On any device go to\n\n  %s\n\nand enter the code\n\n  %s\n\n", printable(waiting.VerificationURI), printable(waiting.UserCode))
	if waiting.VerificationURIComplete != "" {
		_, _ = fmt.Fprintf(tell, "or go to\n\n  %s\n\n", printable(waiting.VerificationURIComplete))
	}
	token, err := config.DeviceAccessToken(ctx, waiting)
	if err != nil {
		return nil, explain(err)
	}
	return token, nil
}
