package ldap

import (
	"context"
	"net"
	"testing"
	"time"
)

// FuzzAnswer: a directory that answers with anything stops nothing, and lets nobody in
// whose name it does not say.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte{0x30, 0x0c, 0x02, 0x01, 0x01, 0x61, 0x07, 0x0a, 0x01, 0x00, 0x04, 0x00, 0x04, 0x00})
	f.Add([]byte{0x30, 0x84, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{})
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // of the test
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = listener.Close() })
	answers := make(chan []byte, 1)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write(<-answers)
			_ = conn.Close()
		}
	}()
	p, err := New(Options{Host: listener.Addr().String(), UserSearchBase: "dc=example,dc=com", ReadTimeout: 500})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		answers <- answer
		if who, err := p.Authenticate(ctx, "jane", "secret"); err == nil && who.Subject == "" {
			t.Errorf("%x lets somebody in", answer)
		}
		select {
		case <-answers: // the connection failed before it
		default:
		}
	})
}
