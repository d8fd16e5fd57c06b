package terminal

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

// FuzzSubprotocols: the one that is chosen was offered, and is no token.
func FuzzSubprotocols(f *testing.F) {
	f.Add("terminal.kubesphere.io", bearerProtocol+"abc")
	f.Add(" , ,a", "")
	f.Fuzz(func(t *testing.T, first, second string) {
		r := &http.Request{Header: http.Header{"Sec-Websocket-Protocol": {first, second}}}
		for _, protocol := range subprotocols(r) {
			if protocol == "" || strings.HasPrefix(protocol, bearerProtocol) || !strings.Contains(first+second, protocol) {
				t.Errorf("of %q and %q %q is chosen", first, second, protocol)
			}
		}
	})
}

// FuzzFrame: what a page sends is bounded, whatever it is.
func FuzzFrame(f *testing.F) {
	f.Add(`{"Op":"stdin","Data":"ls\r"}`)
	f.Add(`{"Op":"resize","Cols":80,"Rows":24}`)
	f.Add(`{"Op":1}`)
	f.Fuzz(func(t *testing.T, message string) {
		var got frame
		if json.Unmarshal([]byte(message), &got) != nil {
			return
		}
		s := &socket{now: time.Now, arrived: make(chan struct{}, 1), resized: make(chan struct{}, 1)}
		for range 3 {
			if s.take(got) != nil {
				break
			}
		}
		if len(s.input) > maxUnread {
			t.Errorf("%d bytes wait", len(s.input))
		}
	})
}
