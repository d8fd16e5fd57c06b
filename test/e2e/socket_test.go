//go:build e2e

package e2e

import (
	"context"
	"net/http"
	"strings"

	"github.com/coder/websocket"
	"github.com/tidwall/gjson"

	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// watches follows a list over a WebSocket, as the console does.
func (v *visitor) watches(path string) {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.t.Context(), wait.Timeout)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, strings.Replace(v.url, "http", "ws", 1)+path, &websocket.DialOptions{HTTPHeader: http.Header{
		"Authorization": {"Bearer " + v.token}, "Origin": {"http://console.example.com"}, // kube-apiserver wants one
	}}) //nolint:bodyclose // there is none
	if err != nil {
		v.t.Errorf("watching %s: %v", path, err)
		return
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(1 << 20)
	_, message, err := conn.Read(ctx)
	if event := gjson.ParseBytes(message); err != nil || event.Get("type").String() != "ADDED" || !event.Get("object.metadata.name").Exists() {
		v.t.Errorf("the first event of %s: %.300s %v", path, message, err)
	}
}
