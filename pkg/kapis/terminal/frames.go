package terminal

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"unicode/utf8"

	"github.com/coder/websocket"
	"k8s.io/client-go/tools/remotecommand"
)

// Operations of frames.
const (
	opInput  = "stdin"
	opOutput = "stdout"
	opResize = "resize"
	opNotice = "toast"
)

// frame is a message of the console's terminal, as JSON in a text message.
type frame struct {
	Op   string
	Data string
	Rows uint16
	Cols uint16
}

// maxFrame bounds what a client sends at once, in bytes: a paste.
const maxFrame = 1 << 20

// endOfTransmission is what a terminal sends for Ctrl-D: it ends the shell of
// somebody who is gone.
const endOfTransmission = "\x04"

// socket is the terminal of a person: what is typed is read, what is shown is
// written.
type socket struct {
	conn *websocket.Conn
	// typed is called for each frame, so that an idle terminal can be told.
	typed func()
	sizes chan remotecommand.TerminalSize

	input   []byte // typed and not read yet
	mu      sync.Mutex
	partial []byte          // the beginning of a character whose rest is still to come
	shown   bool            // whether anything was
	ctx     context.Context //nolint:containedctx // of the terminal: io.Reader and io.Writer have none
}

func newSocket(ctx context.Context, conn *websocket.Conn, typed func()) *socket {
	conn.SetReadLimit(maxFrame)
	return &socket{conn: conn, typed: typed, sizes: make(chan remotecommand.TerminalSize, 1), ctx: ctx}
}

// Read returns what is typed. Sizes are passed on on the way; frames that are
// none end the terminal.
func (s *socket) Read(into []byte) (int, error) {
	for len(s.input) == 0 {
		kind, message, err := s.conn.Read(s.ctx)
		if err != nil {
			return copy(into, endOfTransmission), err
		}
		var got frame
		if kind != websocket.MessageText || json.Unmarshal(message, &got) != nil {
			return 0, errors.New("a message that is no frame of a terminal")
		}
		s.typed()
		switch got.Op {
		case opInput:
			s.input = []byte(got.Data)
		case opResize:
			s.resize(remotecommand.TerminalSize{Width: got.Cols, Height: got.Rows})
		}
	}
	n := copy(into, s.input)
	s.input = s.input[n:]
	return n, nil
}

// resize keeps the latest size only: nobody needs those before.
func (s *socket) resize(size remotecommand.TerminalSize) {
	for {
		select {
		case s.sizes <- size:
			return
		default:
		}
		select {
		case <-s.sizes:
		default:
		}
	}
}

// Next implements remotecommand.TerminalSizeQueue.
func (s *socket) Next() *remotecommand.TerminalSize {
	select {
	case size := <-s.sizes:
		return &size
	case <-s.ctx.Done():
		return nil
	}
}

// Write shows something. A character that comes in pieces is held until it is
// whole: in JSON its pieces would be lost.
func (s *socket) Write(output []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shown = true
	text := append(s.partial, output...)
	whole := len(text) - incomplete(text)
	s.partial = append([]byte(nil), text[whole:]...)
	if whole == 0 {
		return len(output), nil
	}
	if err := s.send(frame{Op: opOutput, Data: string(text[:whole])}); err != nil {
		return 0, err
	}
	return len(output), nil
}

// incomplete is the length of the unfinished character at the end of a text.
func incomplete(text []byte) int {
	for n := 1; n <= min(len(text), utf8.UTFMax-1); n++ {
		if utf8.RuneStart(text[len(text)-n]) {
			if utf8.FullRune(text[len(text)-n:]) {
				return 0
			}
			return n
		}
	}
	return 0
}

// notice tells the person something that is not output.
func (s *socket) notice(text string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.send(frame{Op: opNotice, Data: text})
}

func (s *socket) send(f frame) error {
	message, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return s.conn.Write(s.ctx, websocket.MessageText, message)
}

// wasShown reports whether anything was shown.
func (s *socket) wasShown() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shown
}

var (
	_ io.ReadWriter                   = (*socket)(nil)
	_ remotecommand.TerminalSizeQueue = (*socket)(nil)
)
