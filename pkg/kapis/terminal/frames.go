package terminal

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"time"
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

const (
	// maxFrame bounds what a client sends at once, in bytes: a paste.
	maxFrame = 1 << 20
	// maxUnread bounds what was typed and is not read by the program yet.
	maxUnread = 4 << 20
	// writeWithin bounds how long a client may take to receive what is shown.
	writeWithin = 30 * time.Second
)

// endOfTransmission is what a terminal sends for Ctrl-D: it ends the shell of
// somebody who is gone.
const endOfTransmission = "\x04"

// socket is the terminal of a person. It is read all the time, so that answers
// to pings are noticed while a program does not read.
type socket struct {
	conn *websocket.Conn
	now  func() time.Time
	// line lasts as long as the connection, longer than what runs: a context
	// that ends closes the connection without saying why.
	line context.Context //nolint:containedctx // io.Reader and io.Writer have none

	mu      sync.Mutex
	input   []byte // typed and not read yet
	ended   bool   // nothing more will be typed
	typed   time.Time
	size    *remotecommand.TerminalSize
	arrived chan struct{} // something was typed, or nothing more will be
	resized chan struct{}

	out     sync.Mutex
	partial []byte // the beginning of a character whose rest is still to come
	shown   bool   // whether anything was
}

func newSocket(line context.Context, conn *websocket.Conn, now func() time.Time) *socket {
	conn.SetReadLimit(maxFrame)
	return &socket{conn: conn, now: now, line: line, typed: now(), arrived: make(chan struct{}, 1), resized: make(chan struct{}, 1)}
}

var (
	errNoFrame = errors.New("a message that is no frame of a terminal")
	errUnread  = errors.New("more was typed than the program reads")
)

// receive takes in frames until the connection ends, and returns why it did.
func (s *socket) receive() error {
	for {
		kind, message, err := s.conn.Read(s.line)
		if err != nil {
			return err
		}
		var got frame
		if kind != websocket.MessageText || json.Unmarshal(message, &got) != nil {
			return errNoFrame
		}
		if err := s.take(got); err != nil {
			return err
		}
	}
}

func (s *socket) take(got frame) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.typed = s.now()
	switch got.Op {
	case opInput:
		if len(s.input)+len(got.Data) > maxUnread {
			return errUnread
		}
		s.input = append(s.input, got.Data...)
		signal(s.arrived)
	case opResize:
		s.size = &remotecommand.TerminalSize{Width: got.Cols, Height: got.Rows}
		signal(s.resized)
	}
	return nil
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// hangUp ends what is typed as somebody does who leaves.
func (s *socket) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.input, s.ended = append(s.input, endOfTransmission...), true
		signal(s.arrived)
	}
}

// idle is how long nothing was typed.
func (s *socket) idle() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now().Sub(s.typed)
}

// Write shows something. A character that comes in pieces is held until it is
// whole: in JSON its pieces would be lost.
func (s *socket) Write(output []byte) (int, error) {
	s.out.Lock()
	defer s.out.Unlock()
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
	s.out.Lock()
	defer s.out.Unlock()
	return s.send(frame{Op: opNotice, Data: text})
}

func (s *socket) send(f frame) error {
	message, err := json.Marshal(f)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.line, writeWithin)
	defer cancel()
	return s.conn.Write(ctx, websocket.MessageText, message)
}

// wasShown reports whether anything was shown.
func (s *socket) wasShown() bool {
	s.out.Lock()
	defer s.out.Unlock()
	return s.shown
}

// attached is the socket for one program. It takes nothing after that has
// ended: what is typed then is for the next one.
type attached struct {
	*socket
	over  <-chan struct{}
	sized bool // whether it knows a size; asked by one goroutine only
}

// Read returns what is typed.
func (a *attached) Read(into []byte) (int, error) {
	for {
		select {
		case <-a.over:
			signal(a.arrived) // what it was woken for is for the next
			return 0, io.EOF
		default:
		}
		n, ended := a.read(into)
		if n > 0 {
			return n, nil
		}
		if ended {
			return 0, io.EOF
		}
		select {
		case <-a.over:
			return 0, io.EOF
		case <-a.arrived:
		}
	}
}

func (s *socket) read(into []byte) (n int, ended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n = copy(into, s.input)
	s.input = s.input[n:]
	return n, s.ended
}

// Next implements remotecommand.TerminalSizeQueue. Nobody needs other sizes
// than the latest.
func (a *attached) Next() *remotecommand.TerminalSize {
	for {
		a.mu.Lock()
		size := a.size
		a.mu.Unlock()
		if !a.sized && size != nil {
			a.sized = true
			return size
		}
		select {
		case <-a.over:
			return nil
		case <-a.resized:
			a.sized = false
		}
	}
}

var (
	_ io.ReadWriter                   = (*attached)(nil)
	_ remotecommand.TerminalSizeQueue = (*attached)(nil)
)
