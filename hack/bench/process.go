package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// process is a server that is measured.
type process struct {
	command *exec.Cmd
	address string
	pid     int // unless it is the command's
}

// start runs a command and reads its address from the first line of its
// standard error that has one.
func start(ctx context.Context, environment []string, name string, args ...string) (*process, error) {
	command := exec.CommandContext(ctx, name, args...) //nolint:gosec // our own binaries
	command.Env = append(os.Environ(), environment...)
	stderr, err := command.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		if _, rest, found := strings.Cut(lines.Text(), "address="); found {
			address, _, _ := strings.Cut(rest, " ")
			go func() {
				for lines.Scan() { // nobody reads the rest
				}
			}()
			return &process{command: command, address: "http://" + address}, nil
		}
	}
	return nil, fmt.Errorf("%s ended without listening: %w", name, command.Wait())
}

func (p *process) stop() {
	_ = p.command.Process.Kill()
	_ = p.command.Wait()
}

// cpu is the processor time the process has used.
func (p *process) cpu() (time.Duration, error) {
	pid := p.pid
	if pid == 0 {
		pid = p.command.Process.Pid
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	total := 0
	for _, field := range fields[11:13] { // utime and stime, in 1/100 s
		ticks, err := strconv.Atoi(field)
		if err != nil {
			return 0, err
		}
		total += ticks
	}
	return time.Duration(total) * 10 * time.Millisecond, nil
}

// memory is the resident memory of the process, in bytes.
func (p *process) memory() (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.command.Process.Pid))
	if err != nil {
		return 0, err
	}
	pages, err := strconv.ParseInt(strings.Fields(string(status))[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}

// recorded is an answer to be sent again.
type recorded struct {
	Code   int
	Header http.Header
	Body   []byte
}

// serveRecorded answers every request with a recorded answer.
func serveRecorded(ctx context.Context, file string) error {
	content, err := os.ReadFile(file) //nolint:gosec // written by measure
	if err != nil {
		return err
	}
	var answer recorded
	if err := json.Unmarshal(content, &answer); err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "address=%s\n", listener.Addr())
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for name, values := range answer.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body)
	})}
	return server.Serve(listener)
}
