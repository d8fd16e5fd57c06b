package terminal

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
	"k8s.io/apiserver/pkg/authentication/user"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/client-go/tools/remotecommand"
	utilexec "k8s.io/client-go/util/exec"

	"github.com/super-kubenetes/ks-apiserver/pkg/authn"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/turns"
)

const (
	// beat is how often the caller's rights are looked at.
	beat = 2 * time.Second
	// pingEvery is how often the other side is asked whether it is there:
	// proxies close what is silent for 20 seconds or more (ks#3293).
	pingEvery = 15 * time.Second
	// answerWithin is how long the other side has to say so.
	answerWithin = 10 * time.Second
	// startWithin is within what a shell that is not there is found out.
	startWithin = 5 * time.Second
	// hangUpWithin is how long a shell has to end by itself when its person is
	// gone: what it runs would stay otherwise.
	hangUpWithin = time.Second
)

// opening is a terminal to be.
type opening struct {
	shells []string
	// check reports why the caller may not have it, or not any more.
	check func(ctx context.Context, who user.Info) error
	// find looks for what has to be there, before the connection is upgraded.
	find func(ctx context.Context) error
	// prepare returns the container, or makes it.
	prepare func(ctx context.Context, who user.Info) (target, error)
}

// ending is why a terminal ends before its shell does.
type ending struct {
	// code is 0 when there is nobody to tell.
	code   websocket.StatusCode
	reason string
}

func (e *ending) Error() string { return e.reason }

// open answers a request for a terminal with one. Errors before that are
// returned; afterwards they are told on the terminal.
func (h *Handler) open(w http.ResponseWriter, r *http.Request, o opening) error {
	who, _ := kuberequest.UserFrom(r.Context())
	if err := o.check(r.Context(), who); err != nil {
		return err
	}
	if !upgrades(r) {
		// The console asks so whether this path is there (400 and not 404).
		w.Header().Set("Upgrade", "websocket")
		return status.BadRequest("a terminal needs a WebSocket: the request does not ask to upgrade the connection, or a proxy before this server took that away")
	}
	if !sameOrigin(r, who) {
		return status.Forbidden(inContainers, "", "the page at %q may not open terminals here", r.Header.Get("Origin"))
	}
	if err := o.find(r.Context()); err != nil {
		return kube.Err(err)
	}
	release, err := h.Limits.take(turns.HolderFrom(r.Context()))
	if err != nil {
		return err
	}
	defer release()
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true, Subprotocols: subprotocols(r)}) // by sameOrigin
	if err != nil {
		return nil //nolint:nilerr // it has been answered
	}
	h.serve(r, conn, who, o)
	return nil
}

// serve lasts as long as a terminal.
func (h *Handler) serve(r *http.Request, conn *websocket.Conn, who user.Info, o opening) {
	line, hangUp := context.WithCancel(context.WithoutCancel(r.Context()))
	defer hangUp()
	defer func() { _ = conn.CloseNow() }()
	ctx, stop := context.WithCancel(line)
	defer stop()
	// Why it ends is known a moment before what runs is stopped: a shell that is
	// told ends what it has started, too.
	over, end := context.WithCancelCause(line)
	s := newSocket(line, conn, h.Now)
	var tending sync.WaitGroup
	tending.Go(func() {
		err := s.receive()
		if errors.Is(err, errNoFrame) || errors.Is(err, errUnread) {
			end(&ending{websocket.StatusPolicyViolation, err.Error()})
		}
		end(&ending{})
	})
	tending.Go(func() { end(h.look(over, r, s, o)) })
	tending.Go(func() {
		<-over.Done()
		s.hangUp()
		after(ctx, hangUpWithin)
		stop()
	})
	where, err := o.prepare(ctx, who)
	if err == nil {
		err = h.run(ctx, who, where, o.shells, s)
	}
	h.end(over, s, err)
	end(nil)
	hangUp()
	tending.Wait()
}

// upgrades reports whether a request asks for a WebSocket.
func upgrades(r *http.Request) bool {
	return slices.ContainsFunc(r.Header.Values("Upgrade"), func(value string) bool {
		for protocol := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(protocol), "websocket") {
				return true
			}
		}
		return false
	})
}

// bearerProtocol begins the subprotocol that is a token, for the authenticator.
const bearerProtocol = "base64url.bearer.authorization.k8s.io."

// subprotocols are those to choose of. A terminal has no version to agree on: the
// first one is taken that is no token, since a browser that sends its token so has to
// name another one, and closes a connection where none was chosen.
func subprotocols(r *http.Request) []string {
	for _, header := range r.Header.Values("Sec-WebSocket-Protocol") {
		for protocol := range strings.SplitSeq(header, ",") {
			if protocol = strings.TrimSpace(protocol); protocol != "" && !strings.HasPrefix(protocol, bearerProtocol) {
				return []string{protocol}
			}
		}
	}
	return nil
}

// sameOrigin refuses pages of other sites whose browser sends a password for
// them (HTTP Basic). A bearer token is never sent by itself.
func sameOrigin(r *http.Request, who user.Info) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || authn.HasToken(who) {
		return true
	}
	parsed, err := url.Parse(origin)
	return err == nil && parsed.Host == r.Host
}

func after(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// look returns when a terminal has to end: its person is gone, idle, or may not
// have it any more, or it has lasted too long.
func (h *Handler) look(ctx context.Context, r *http.Request, s *socket, o opening) error {
	every := h.Beat
	if every == 0 {
		every = beat
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	started := h.Now()
	pinged := started
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-r.Context().Done():
			return &ending{websocket.StatusServiceRestart, "the server stops: open the terminal again"}
		case <-ticker.C:
		}
		now := h.Now()
		if now.Sub(started) > h.MaxLifetime {
			return &ending{websocket.StatusGoingAway, "the terminal is closed, since it was open for " + h.MaxLifetime.String()}
		}
		if s.idle() > h.IdleTimeout {
			return &ending{websocket.StatusGoingAway, "the terminal is closed, since nothing was typed for " + h.IdleTimeout.String()}
		}
		if err := h.allowed(r, o); err != nil && !kube.Unavailable(err) {
			slog.InfoContext(ctx, "a terminal is closed", "path", r.URL.Path, "reason", err)
			return &ending{websocket.StatusPolicyViolation, "the terminal is closed, since you may not have it any more"}
		}
		if now.Sub(pinged) < min(pingEvery, h.IdleTimeout) {
			continue
		}
		pinged = now
		ping, cancel := context.WithTimeout(ctx, answerWithin)
		err := s.conn.Ping(ping)
		cancel()
		if err != nil {
			return &ending{}
		}
	}
}

// allowed reports why the caller may not go on.
func (h *Handler) allowed(r *http.Request, o opening) error {
	who, err := h.Allowed(r)
	if err != nil {
		return err
	}
	return o.check(r.Context(), who)
}

// run starts the first of some shells that is there, and lasts until it ends.
func (h *Handler) run(ctx context.Context, who user.Info, where target, shells []string, s *socket) error {
	var err error
	for n, shell := range shells {
		started := h.Now()
		err = h.attach(ctx, who, where, append(slices.Clone(where.prefix), shell), s)
		if n == len(shells)-1 || !missing(err) || s.wasShown() || h.Now().Sub(started) > startWithin || ctx.Err() != nil {
			break
		}
	}
	return err
}

// attach runs a program with the terminal.
func (h *Handler) attach(ctx context.Context, who user.Info, where target, command []string, s *socket) error {
	over := make(chan struct{})
	defer close(over)
	a := &attached{socket: s, over: over}
	return h.exec(ctx, who, where, command, remotecommand.StreamOptions{Stdin: a, Stdout: a, Tty: true, TerminalSizeQueue: a})
}

// end closes a terminal and tells why.
func (h *Handler) end(over context.Context, s *socket, err error) {
	var why *ending
	if !errors.As(context.Cause(over), &why) {
		why = outcome(err, s.wasShown())
		if why.code == websocket.StatusInternalError {
			slog.InfoContext(over, "a terminal failed", "error", err)
		}
	}
	switch why.code {
	case 0:
		return
	case websocket.StatusNormalClosure:
	default:
		_ = s.notice(why.reason) //nolint:contextcheck // what runs is over, the line is not
	}
	_ = s.conn.Close(why.code, strings.ToValidUTF8(why.reason[:min(len(why.reason), longestReason)], ""))
}

// outcome says how a shell ended that did so by itself. One that is not there is
// an exit code or an error of the runtime, and shows nothing.
func outcome(err error, shown bool) *ending {
	var exit utilexec.CodeExitError
	exited := errors.As(err, &exit)
	switch {
	case err == nil, exited && (shown || !missing(err)):
		return &ending{websocket.StatusNormalClosure, "the shell has ended"}
	case exited, strings.Contains(err.Error(), "executable file not found"), strings.Contains(err.Error(), "no such file or directory"):
		return &ending{websocket.StatusInternalError, "the container does not have that shell"}
	}
	return &ending{websocket.StatusInternalError, status.Of(err).Message}
}

// longestReason bounds the reason in a close frame, which is a short one.
const longestReason = 120

// shellsOf are the shells to try: the one that was asked for if it is one, or
// those most images have.
func shellsOf(r *http.Request) ([]string, error) {
	parameters, err := request.ParametersOf(r)
	if err != nil {
		return nil, err
	}
	asked, err := parameters.Single("shell")
	if err != nil {
		return nil, err
	}
	switch {
	case asked == "":
		return []string{"bash", "sh"}, nil
	case slices.Contains([]string{"bash", "sh", "ash", "zsh", "powershell", "cmd"}, asked):
		return []string{asked}, nil
	}
	return nil, status.BadRequest("%q is not one of the shells bash, sh, ash, zsh, powershell and cmd", asked)
}
