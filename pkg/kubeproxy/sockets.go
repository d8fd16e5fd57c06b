package kubeproxy

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"github.com/coder/websocket"

	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/turns"
)

// upgrades reports whether Kubernetes may answer a request by another protocol: connections
// to pods and to what is behind them, and logs. Everything else is answered as if nobody had
// asked for one (RFC 9110, section 7.8).
func upgrades(info *request.Info) bool {
	switch info.Subresource {
	case "exec", "attach", "portforward", "proxy", "log":
		return true
	}
	return info.Verb == "proxy"
}

// asksForSocket reports whether a request is a watch over a WebSocket.
func asksForSocket(r *http.Request, info *request.Info) bool {
	return info.Verb == "watch" && r.Method == http.MethodGet && strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

// acceptedJSON are the media types of a request that are JSON, such as those of tables.
func acceptedJSON(header http.Header) []string {
	var accepted []string
	for one := range strings.SplitSeq(strings.Join(header.Values("Accept"), ","), ",") {
		if strings.HasPrefix(strings.TrimSpace(one), "application/json") {
			accepted = append(accepted, one)
		}
	}
	return accepted
}

// watchBySocket is a watch over a WebSocket, a message of JSON for each event. Kubernetes is
// asked for an ordinary watch: what it sends over a WebSocket of its own cannot be looked
// into on its way, and a client that does not read would keep one of its seats. The answer is
// seen to by look.
func (p *Proxy) watchBySocket(w http.ResponseWriter, r *http.Request, look func(*http.Response) error) {
	if !sameSite(r) {
		status.Write(w, r, otherSite(r))
		return
	}
	question, err := p.question(r.Context(), http.MethodGet, r.URL, r.URL.Query(), http.Header{}, nil)
	if err != nil {
		status.Write(w, r, err)
		return
	}
	question.Header.Set("Accept", strings.Join(append(acceptedJSON(r.Header), "application/json"), ","))
	settling, found := p.takeRead(w, r, request.InfoFrom(r.Context()))
	if !found {
		return
	}
	defer settling.end()
	answer, err := p.lasting.RoundTrip(question)
	if err == nil {
		defer func() { _ = answer.Body.Close() }()
		err = look(answer) //nolint:contextcheck // it is the answer's
	}
	if err != nil {
		fail(w, r, err)
		return
	}
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, maxRefusal))
		status.Write(w, r, statusError(answer.StatusCode, text))
		return
	}
	// Browsers give up when none of the protocols they offer is chosen; the token that may
	// be among them is not any more.
	var offered []string
	for one := range strings.SplitSeq(strings.Join(r.Header.Values("Sec-Websocket-Protocol"), ","), ",") {
		offered = append(offered, strings.TrimSpace(one))
	}
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true, Subprotocols: offered}) // by sameSite
	if err != nil {
		return // it has been answered
	}
	defer func() { _ = conn.CloseNow() }()
	ctx, cancel := context.WithCancel(conn.CloseRead(r.Context()))
	defer cancel()
	pace := &pace{pacing: p.pacing, places: p.stalled, seats: 1, holder: turns.HolderFrom(ctx), end: cancel}
	defer context.AfterFunc(ctx, func() { _ = answer.Body.Close() })()
	settling.done()
	for decoder := json.NewDecoder(answer.Body); ; {
		var event json.RawMessage
		if err := decoder.Decode(&event); err != nil {
			_ = conn.Close(websocket.StatusNormalClosure, "the watch is over")
			return
		}
		if pace.begin() != nil {
			return
		}
		settling.begin()
		err := conn.Write(ctx, websocket.MessageText, event)
		settling.done()
		if late := pace.done(len(event)); err != nil || late != nil {
			return
		}
	}
}
