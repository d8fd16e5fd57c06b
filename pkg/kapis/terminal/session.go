package terminal

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"k8s.io/apiserver/pkg/authentication/user"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	utilexec "k8s.io/client-go/util/exec"
	"k8s.io/streaming/pkg/httpstream"

	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

const (
	// beat is how often the other side is asked whether it is there, and the
	// caller's rights are looked at: proxies close what is silent for 20 seconds
	// or more (ks#3293).
	beat = 15 * time.Second
	// answerWithin is how long the other side has to say so.
	answerWithin = 10 * time.Second
	// startWithin is within what a shell that is not there is found out.
	startWithin = 5 * time.Second
)

// target is the container a terminal is in.
type target struct {
	namespace, pod, container string
	// prefix is what starts the shell where it shall be.
	prefix []string
}

// upgrade answers a request for a terminal with one. Errors before that are
// returned; afterwards they are told on the terminal.
func (h *Handler) upgrade(w http.ResponseWriter, r *http.Request, shells []string, prepare func(ctx context.Context) (target, error)) error {
	if r.Header.Get("Upgrade") == "" {
		// The console asks so whether this path is there (400 and not 404).
		w.Header().Set("Upgrade", "websocket")
		return status.BadRequest("a terminal needs a WebSocket: the request does not ask to upgrade the connection, or a proxy before this server took that away")
	}
	who, _ := kuberequest.UserFrom(r.Context())
	if !sameOrigin(r, who) {
		return status.Forbidden(resource, r.PathValue("pod"), "the page at %q may not open terminals here", r.Header.Get("Origin"))
	}
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true}) // by sameOrigin
	if err != nil {
		return nil //nolint:nilerr // it has been answered
	}
	ctx, cancel := context.WithTimeout(r.Context(), h.MaxLifetime)
	defer cancel()
	defer func() { _ = conn.CloseNow() }()
	var last atomic.Int64
	last.Store(h.Now().UnixNano())
	s := newSocket(ctx, conn, func() { last.Store(h.Now().UnixNano()) })
	where, err := prepare(ctx)
	if err == nil {
		go h.look(ctx, cancel, r, s, &last) // pings need somebody who reads
		err = h.run(ctx, who, where, shells, s)
	}
	h.end(ctx, s, err)
	return nil
}

// sameOrigin refuses pages of other sites whose browser sends a password for
// them (HTTP Basic). A bearer token is never sent by itself.
func sameOrigin(r *http.Request, who user.Info) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || len(who.GetExtra()) > 0 {
		return true
	}
	parsed, err := url.Parse(origin)
	return err == nil && parsed.Host == r.Host
}

// look ends a terminal whose person is gone, idle, or may not have it any more.
func (h *Handler) look(ctx context.Context, end context.CancelFunc, r *http.Request, s *socket, last *atomic.Int64) {
	defer end()
	every := h.Beat
	if every == 0 {
		every = beat
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if idle := h.Now().Sub(time.Unix(0, last.Load())); idle > h.IdleTimeout {
			_ = s.notice("the terminal is closed, since nothing was typed for " + h.IdleTimeout.String())
			return
		}
		if err := h.Allowed(r); err != nil {
			_ = s.notice("the terminal is closed, since you may not have it any more")
			return
		}
		ping, cancel := context.WithTimeout(ctx, answerWithin)
		err := s.conn.Ping(ping)
		cancel()
		if err != nil {
			return
		}
	}
}

// run starts the first of some shells that is there, and lasts until it ends.
func (h *Handler) run(ctx context.Context, who user.Info, where target, shells []string, s *socket) error {
	var err error
	for n, shell := range shells {
		started := h.Now()
		err = h.exec(ctx, who, where, append(slices.Clone(where.prefix), shell), s)
		if n == len(shells)-1 || !missing(err) || s.wasShown() || h.Now().Sub(started) > startWithin {
			return err
		}
	}
	return err
}

// missing reports whether a command may have failed since it is not there:
// runtimes say so by an exit code or as an error of theirs.
func missing(err error) bool {
	var exit utilexec.CodeExitError
	if errors.As(err, &exit) {
		return exit.Code == 126 || exit.Code == 127
	}
	return err != nil
}

// exec runs a command in a container with a terminal.
func (h *Handler) exec(ctx context.Context, who user.Info, where target, command []string, s *socket) error {
	executor, err := executorFor(kube.As(h.Config, who), where, command)
	if err != nil {
		return err
	}
	return executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: s, Stdout: s, Tty: true, TerminalSizeQueue: s})
}

// executorFor speaks WebSockets, and SPDY to a kube-apiserver that does not.
func executorFor(config *rest.Config, where target, command []string) (remotecommand.Executor, error) {
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, err
	}
	at := base.JoinPath("api", "v1", "namespaces", where.namespace, "pods", where.pod, "exec")
	query := url.Values{"stdin": {"true"}, "stdout": {"true"}, "tty": {"true"}, "command": command}
	if where.container != "" {
		query.Set("container", where.container)
	}
	at.RawQuery = query.Encode()
	modern, err := remotecommand.NewWebSocketExecutor(config, http.MethodGet, at.String())
	if err != nil {
		return nil, err
	}
	old, err := remotecommand.NewSPDYExecutor(config, http.MethodPost, at)
	if err != nil {
		return nil, err
	}
	return remotecommand.NewFallbackExecutor(modern, old, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
}

// end closes a terminal and tells why.
func (h *Handler) end(ctx context.Context, s *socket, err error) {
	var exit utilexec.CodeExitError
	switch {
	case err == nil, errors.As(err, &exit), errors.Is(err, io.EOF):
		_ = s.conn.Close(websocket.StatusNormalClosure, "the shell has ended")
	case ctx.Err() != nil, websocket.CloseStatus(err) != -1:
		_ = s.conn.Close(websocket.StatusGoingAway, "the terminal is closed")
	default:
		slog.InfoContext(ctx, "a terminal failed", "error", err)
		reason := status.Of(err).Message
		_ = s.notice(reason)
		_ = s.conn.Close(websocket.StatusInternalError, reason[:min(len(reason), 120)])
	}
}

// shellsOf are the shells to try: the one that was asked for if it is one, or
// those most images have.
func shellsOf(asked string) ([]string, error) {
	switch {
	case asked == "":
		return []string{"bash", "sh"}, nil
	case slices.Contains([]string{"bash", "sh", "ash", "zsh", "powershell", "cmd"}, asked):
		return []string{asked}, nil
	}
	return nil, status.BadRequest("%q is not one of the shells bash, sh, ash, zsh, powershell and cmd", asked)
}
