package kubelet

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"
)

// toyContainer pretends that the containers of a pod run.
type toyContainer struct {
	pod   *corev1.Pod
	disks *disks
}

// ExecInContainer runs cmd in the toy shell.
func (c *toyContainer) ExecInContainer(ctx context.Context, _, _, container string, cmd []string,
	in io.Reader, out, errOut io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize, _ time.Duration,
) error {
	sh := newShell(c.pod, container, streams{in: in, out: out, errOut: errOut, tty: tty, disk: c.disks.of(c.pod, container)})
	go sh.size.follow(ctx, resize)
	if code := sh.run(ctx, cmd); code != 0 {
		return utilexec.CodeExitError{Err: fmt.Errorf("exit status %d", code), Code: code}
	}
	return nil
}

// AttachContainer echoes what it is given, as `cat` being the main process would.
func (c *toyContainer) AttachContainer(ctx context.Context, _, _, container string,
	in io.Reader, out, errOut io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize,
) error {
	sh := newShell(c.pod, container, streams{in: in, out: out, errOut: errOut, tty: tty, disk: c.disks.of(c.pod, container)})
	go sh.size.follow(ctx, resize)
	if in != nil {
		sh.run(ctx, []string{"cat"})
		return nil
	}
	writer := flushed{w: sh.out}
	return newLog(c.pod, container).write(ctx, writer, logOptions{follow: true, tail: 0})
}

// PortForward answers every HTTP request with a line about itself.
func (c *toyContainer) PortForward(_ context.Context, _, _ string, port int32, stream io.ReadWriteCloser) error {
	defer stream.Close()
	reader := bufio.NewReader(stream)
	for {
		request, err := http.ReadRequest(reader)
		if err != nil {
			// The end of the connection, or something that is not HTTP.
			return nil
		}
		if _, err := io.Copy(io.Discard, request.Body); err != nil {
			return nil
		}
		body := fmt.Sprintf("%s %s on port %d of pod %s/%s\n",
			request.Method, request.URL.Path, port, c.pod.Namespace, c.pod.Name)
		response := &http.Response{
			StatusCode:    http.StatusOK,
			ProtoMajor:    1,
			ProtoMinor:    1,
			Header:        http.Header{"Content-Type": {"text/plain; charset=utf-8"}},
			ContentLength: int64(len(body)),
			Body:          io.NopCloser(strings.NewReader(body)),
			Request:       request,
			Close:         request.Close,
		}
		if err := response.Write(stream); err != nil || request.Close {
			return nil
		}
	}
}

// terminalSize is the newest size a client reported.
type terminalSize struct {
	mu      sync.Mutex
	current remotecommand.TerminalSize
	known   chan struct{}
	changed func(remotecommand.TerminalSize)
}

// follow takes in sizes until there are no more.
func (t *terminalSize) follow(ctx context.Context, sizes <-chan remotecommand.TerminalSize) {
	for {
		select {
		case <-ctx.Done():
			return
		case size, ok := <-sizes:
			if !ok {
				return
			}
			t.set(size)
		}
	}
}

func (t *terminalSize) set(size remotecommand.TerminalSize) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current == (remotecommand.TerminalSize{}) {
		close(t.known)
	}
	t.current = size
	if t.changed != nil {
		t.changed(size)
	}
}

// onChange calls f with the size of now and with every later one.
func (t *terminalSize) onChange(f func(remotecommand.TerminalSize)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.changed = f
	if t.current != (remotecommand.TerminalSize{}) {
		f(t.current)
	}
}

// get waits a moment for the first size: it arrives just after the command.
func (t *terminalSize) get(ctx context.Context) remotecommand.TerminalSize {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	select {
	case <-t.known:
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.current
}
