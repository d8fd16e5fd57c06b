package kubelet

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"golang.org/x/term"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
)

const (
	exitMisuse   = 2
	exitNotFound = 127
)

// streams are the ends of an exec session; any may be nil. Without a disk
// nothing is kept that is written.
type streams struct {
	in          io.Reader
	out, errOut io.Writer
	tty         bool
	disk        disk
}

// shell is a very small one: some built-in commands, variables, quotes and
// ; && ||. No pipes, no redirections, and no way out to this machine.
type shell struct {
	pod    *corev1.Pod
	in     io.Reader
	out    io.Writer
	errOut io.Writer
	tty    bool
	size   *terminalSize
	env    map[string]string
	dir    string
	files  map[string]string
	disk   disk
	last   int
	exited bool
}

func newShell(pod *corev1.Pod, container string, s streams) *shell {
	sh := &shell{
		pod:    pod,
		in:     s.in,
		out:    s.out,
		errOut: s.errOut,
		tty:    s.tty,
		size:   &terminalSize{known: make(chan struct{})},
		env:    environment(pod, container),
		dir:    "/",
		files:  fileSystem(pod),
		disk:   s.disk,
	}
	if sh.in == nil {
		sh.in = strings.NewReader("")
	}
	if sh.out == nil {
		sh.out = io.Discard
	}
	if sh.tty {
		// A terminal has one output, and its lines end in both characters.
		sh.out = terminalWriter{sh.out}
		sh.errOut = sh.out
	}
	if sh.errOut == nil {
		sh.errOut = io.Discard
	}
	return sh
}

// run executes one command and returns its exit code.
func (sh *shell) run(ctx context.Context, argv []string) int {
	if len(argv) == 0 {
		return 0
	}
	sh.disk.onto(sh.files) // others write, too
	name := path.Base(argv[0])
	switch name {
	case "sh", "bash", "ash", "zsh":
		return sh.subshell(ctx, argv[1:])
	case "nsenter":
		// There is no other place than here.
		if n := slices.Index(argv, "--"); n > 0 {
			return sh.run(ctx, argv[n+1:])
		}
	}
	command, ok := commands[name]
	if !ok {
		fmt.Fprintf(sh.errOut, "%s: not found\n", argv[0])
		return exitNotFound
	}
	return command(ctx, sh, argv[1:])
}

func (sh *shell) subshell(ctx context.Context, args []string) int {
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		if strings.HasSuffix(args[0], "c") {
			if len(args) < 2 {
				fmt.Fprintln(sh.errOut, "sh: -c requires an argument")
				return exitMisuse
			}
			code := sh.script(ctx, args[1])
			sh.exited = false
			return code
		}
		args = args[1:]
	}
	if len(args) > 0 {
		fmt.Fprintf(sh.errOut, "sh: %s: No such file or directory\n", args[0])
		return exitNotFound
	}
	code := sh.interact(ctx)
	sh.exited = false
	return code
}

// interact reads commands until exit or the end of the input.
func (sh *shell) interact(ctx context.Context) int {
	read := sh.lines()
	for ctx.Err() == nil && !sh.exited {
		line, err := read()
		if err != nil {
			break
		}
		sh.script(ctx, line)
	}
	return sh.last
}

// lines reads from the input, through a line editor if it is a terminal.
func (sh *shell) lines() func() (string, error) {
	if !sh.tty {
		reader := bufio.NewReader(sh.in)
		// Commands read what follows their own line.
		sh.in = reader
		return func() (string, error) {
			line, err := reader.ReadString('\n')
			if line != "" {
				return line, nil
			}
			return "", err
		}
	}
	raw := struct {
		io.Reader
		io.Writer
	}{sh.in, sh.out.(terminalWriter).w}
	terminal := term.NewTerminal(raw, "")
	sh.size.onChange(func(size remotecommand.TerminalSize) {
		if size.Width == 0 || size.Height == 0 {
			// A client without a real terminal; the editor would break every line.
			return
		}
		// It would only fail to draw, which the next key repairs.
		_ = terminal.SetSize(int(size.Width), int(size.Height))
	})
	return func() (string, error) {
		terminal.SetPrompt(sh.dir + " # ")
		return terminal.ReadLine()
	}
}

// script runs the commands of a text.
func (sh *shell) script(ctx context.Context, text string) int {
	list, err := parseScript(text)
	if err != nil {
		fmt.Fprintf(sh.errOut, "sh: %v\n", err)
		sh.last = exitMisuse
		return sh.last
	}
	for _, item := range list {
		if sh.exited || ctx.Err() != nil {
			break
		}
		if item.after == "&&" && sh.last != 0 || item.after == "||" && sh.last == 0 {
			continue
		}
		sh.last = sh.simple(ctx, item.words)
	}
	return sh.last
}

// simple runs a command after expanding its words, or sets variables.
func (sh *shell) simple(ctx context.Context, words []word) int {
	argv := make([]string, 0, len(words))
	for _, w := range words {
		argv = append(argv, sh.expand(w))
	}
	for len(argv) > 0 {
		name, value, ok := strings.Cut(argv[0], "=")
		if !ok || !isName(name) {
			break
		}
		sh.env[name] = value
		argv = argv[1:]
	}
	return sh.run(ctx, argv)
}

func (sh *shell) expand(w word) string {
	var b strings.Builder
	for _, part := range w {
		if part.literal {
			b.WriteString(part.text)
		} else {
			b.WriteString(expandVariables(part.text, sh.lookup))
		}
	}
	return b.String()
}

func (sh *shell) lookup(name string) string {
	if name == "?" {
		return fmt.Sprint(sh.last)
	}
	return sh.env[name]
}

// absolute is the path a name means in the current directory.
func (sh *shell) absolute(name string) string {
	if path.IsAbs(name) {
		return path.Clean(name)
	}
	return path.Join(sh.dir, name)
}

// list is the content of a directory, false if there is none of that name.
func (sh *shell) list(dir string) ([]string, bool) {
	prefix := strings.TrimSuffix(dir, "/") + "/"
	names := map[string]bool{}
	for file := range sh.files {
		if rest, ok := strings.CutPrefix(file, prefix); ok {
			first, _, _ := strings.Cut(rest, "/")
			names[first] = true
		}
	}
	delete(names, "")
	_, isDir := sh.files[prefix]
	return slices.Sorted(maps.Keys(names)), isDir || len(names) > 0
}

// terminalWriter ends lines the way a terminal in raw mode needs it.
type terminalWriter struct {
	w io.Writer
}

func (t terminalWriter) Write(p []byte) (int, error) {
	if _, err := t.w.Write(bytes.ReplaceAll(p, []byte("\n"), []byte("\r\n"))); err != nil {
		return 0, err
	}
	return len(p), nil
}
