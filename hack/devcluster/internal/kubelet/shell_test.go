package kubelet

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
)

func testPod() *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web-1"},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name:         "app",
			Env:          []corev1.EnvVar{{Name: "COLOUR", Value: "green"}},
			VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: "/data"}},
		}}},
	}
}

func TestShell(t *testing.T) {
	for _, test := range []struct {
		name   string
		argv   []string
		in     string
		out    string
		errOut string
		code   int
	}{
		{name: "echo", argv: []string{"echo", "a", "b  c"}, out: "a b  c\n"},
		{name: "echo without newline", argv: []string{"/bin/echo", "-n", "a"}, out: "a"},
		{name: "no expansion without a shell", argv: []string{"echo", "$COLOUR"}, out: "$COLOUR\n"},
		{name: "expansion", argv: []string{"sh", "-c", `echo $COLOUR "${COLOUR}s" '$COLOUR' \$COLOUR $ $none.`},
			out: "green greens $COLOUR $COLOUR $ .\n"},
		{name: "assignment", argv: []string{"bash", "-lc", "A='x y'; B=$A; echo $B"}, out: "x y\n"},
		{name: "and", argv: []string{"sh", "-c", "false && echo no; true && echo yes"}, out: "yes\n"},
		{name: "or", argv: []string{"sh", "-c", "false || echo yes; true || echo no"}, out: "yes\n"},
		{name: "status", argv: []string{"sh", "-c", "false; echo $?"}, out: "1\n"},
		{name: "exit", argv: []string{"sh", "-c", "exit 7; echo no"}, code: 7},
		{name: "last command decides", argv: []string{"sh", "-c", "true; false"}, code: 1},
		{name: "comment", argv: []string{"sh", "-c", "# nothing\necho a#b"}, out: "a#b\n"},
		{name: "cat input", argv: []string{"cat"}, in: "x\ny", out: "x\ny"},
		{name: "cat file", argv: []string{"cat", "/etc/hostname"}, out: "web-1\n"},
		{name: "cat missing", argv: []string{"cat", "/etc/shadow"}, errOut: "can't open", code: 1},
		{name: "ls", argv: []string{"ls", "/"}, out: "bin\ndata\ndev\netc\nroot\ntmp\nusr\nvar\n"},
		{name: "ls empty", argv: []string{"ls", "-la", "/data"}},
		{name: "ls missing", argv: []string{"ls", "/home"}, errOut: "No such file", code: 1},
		{name: "cd", argv: []string{"sh", "-c", "cd etc && pwd && ls hosts"}, out: "/etc\nhosts\n"},
		{name: "printenv", argv: []string{"printenv", "COLOUR"}, out: "green\n"},
		{name: "seq", argv: []string{"seq", "3"}, out: "1\n2\n3\n"},
		{name: "wc", argv: []string{"wc"}, in: "a\nb\n", out: "2 lines 4 bytes\n"},
		{name: "unknown", argv: []string{"rm", "-rf", "/"}, errOut: "rm: not found", code: 127},
		{name: "no pipes", argv: []string{"sh", "-c", "echo a | cat"}, errOut: "more than this toy shell", code: 2},
		{name: "unterminated", argv: []string{"sh", "-c", "echo 'a"}, errOut: "unterminated", code: 2},
		{name: "no terminal", argv: []string{"stty", "size"}, errOut: "Not a tty", code: 1},
		{name: "is a directory", argv: []string{"sh", "-c", "test -d /data && test -d data && test -f /etc/hosts && test -e /etc && echo yes"}, out: "yes\n"},
		{name: "is no directory", argv: []string{"test", "-d", "/etc/hosts"}, code: 1},
		{name: "is no file", argv: []string{"test", "-f", "/etc"}, code: 1},
		{name: "nsenter", argv: []string{"nsenter", "-t", "1", "-m", "--", "sh", "-c", "echo $COLOUR"}, out: "green\n"},
		{name: "tar nothing", argv: []string{"tar"}, errOut: "at least one option", code: 1},
		{name: "tar of a missing file", argv: []string{"tar", "cf", "-", "/none"}, out: strings.Repeat("\x00", 1024), errOut: "tar: /none: No such file", code: 1},
		{name: "tar into a missing directory", argv: []string{"tar", "-xmf", "-", "-C", "/none"}, errOut: "can't change directory", code: 1},
		{name: "tar of no archive", argv: []string{"tar", "xf", "-"}, in: strings.Repeat("x", 2048), errOut: "invalid tar header", code: 1},
		{name: "tar to a file", argv: []string{"tar", "cf", "/tmp/a.tar", "/etc"}, errOut: "input and output only", code: 1},
		{name: "script on input", argv: []string{"sh"}, in: "echo one\nexit 4\necho two\n", out: "one\n", code: 4},
		{name: "command reads the rest", argv: []string{"sh"}, in: "cat\nrest\n", out: "rest\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out, errOut bytes.Buffer
			sh := newShell(testPod(), "app", streams{in: strings.NewReader(test.in), out: &out, errOut: &errOut})
			if code := sh.run(t.Context(), test.argv); code != test.code {
				t.Errorf("exit code %d instead of %d", code, test.code)
			}
			if out.String() != test.out {
				t.Errorf("output %q instead of %q", out.String(), test.out)
			}
			if !strings.Contains(errOut.String(), test.errOut) || test.errOut == "" && errOut.Len() > 0 {
				t.Errorf("error output %q instead of %q", errOut.String(), test.errOut)
			}
		})
	}
}

// tarOf is an archive with one file.
func tarOf(t *testing.T, name, content string) string {
	t.Helper()
	var packed bytes.Buffer
	w := tar.NewWriter(&packed)
	if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.String()
}

// TestTar: what is packed, and what was unpacked is there for the next shell.
func TestTar(t *testing.T) {
	pod, kept := testPod(), &disks{}
	pod.UID = "one"
	run := func(container, in string, argv ...string) string {
		t.Helper()
		var out, errOut bytes.Buffer
		sh := newShell(pod, container, streams{in: strings.NewReader(in), out: &out, errOut: &errOut, disk: kept.of(pod, container)})
		if code := sh.run(t.Context(), argv); code != 0 {
			t.Fatalf("%s: code %d, %s", argv, code, errOut.String())
		}
		return out.String()
	}
	var packed bytes.Buffer
	w := tar.NewWriter(&packed)
	for _, header := range []tar.Header{
		{Name: "dir/", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: "dir/a b.txt", Typeflag: tar.TypeReg, Mode: 0o644, Size: 5},
		{Name: "../../escape", Typeflag: tar.TypeReg, Mode: 0o644, Size: 5},
	} {
		if err := w.WriteHeader(&header); err != nil {
			t.Fatal(err)
		}
		if header.Size > 0 {
			if _, err := w.Write([]byte("hello")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	run("app", packed.String(), "tar", "--no-same-owner", "-xmf", "-", "-C", "/data")
	if got := run("app", "", "cat", "/data/dir/a b.txt", "/data/escape"); got != "hellohello" {
		t.Errorf("unpacked %q", got)
	}
	if got := run("app", packed.String(), "tar", "tf", "-"); got != "dir/\ndir/a b.txt\n../../escape\n" {
		t.Errorf("listed %q", got)
	}
	// A shell that was there before sees it.
	var seen bytes.Buffer
	in, typist := io.Pipe()
	before := newShell(pod, "app", streams{in: in, out: &seen, disk: kept.of(pod, "app")})
	ended := make(chan int)
	go func() { ended <- before.run(t.Context(), []string{"sh"}) }()
	if _, err := io.WriteString(typist, "cd /\n"); err != nil {
		t.Fatal(err)
	}
	run("app", tarOf(t, "later.txt", "late"), "tar", "xf", "-", "-C", "/data")
	if _, err := io.WriteString(typist, "cat /data/later.txt\nexit\n"); err != nil {
		t.Fatal(err)
	}
	if <-ended; seen.String() != "late" {
		t.Errorf("the shell sees %q", seen.String())
	}
	names := map[string]string{}
	for in := tar.NewReader(strings.NewReader(run("app", "", "tar", "cf", "-", "-C", "/data", "dir", "/etc/hostname"))); ; {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		names[header.Name] = string(content)
	}
	if want := map[string]string{"dir/": "", "dir/a b.txt": "hello", "etc/hostname": "web-1\n"}; !maps.Equal(names, want) {
		t.Errorf("packed %q", names)
	}
	if got := run("other", "", "ls", "/data"); got != "" {
		t.Errorf("another container has %q", got)
	}
	pod.UID = "two"
	if got := run("app", "", "ls", "/data"); got != "" {
		t.Errorf("another pod has %q", got)
	}
}

func TestTerminal(t *testing.T) {
	var out bytes.Buffer
	in, typist := io.Pipe()
	sh := newShell(testPod(), "app", streams{in: in, out: &out, tty: true})
	sizes := make(chan remotecommand.TerminalSize, 1)
	sizes <- remotecommand.TerminalSize{Width: 99, Height: 33}
	go sh.size.follow(t.Context(), sizes)
	go func() {
		// An error here is a shell that ended early, which the code tells.
		_, _ = io.WriteString(typist, "stty sizf\x7fe\rexit 3\r")
	}()
	if code := sh.run(t.Context(), []string{"bash"}); code != 3 {
		t.Errorf("exit code %d instead of 3", code)
	}
	if !strings.Contains(out.String(), "33 99\r\n") {
		t.Errorf("no size in %q", out.String())
	}
}

func TestSleepEndsWithTheSession(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	begin := time.Now()
	sh := newShell(testPod(), "app", streams{})
	if code := sh.run(ctx, []string{"sleep", "60"}); code == 0 || time.Since(begin) > 10*time.Second {
		t.Errorf("exit code %d after %v", code, time.Since(begin))
	}
}
