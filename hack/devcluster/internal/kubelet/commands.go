package kubelet

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

type commandFunc func(ctx context.Context, sh *shell, args []string) int

// commands are all there is in the containers.
var commands = map[string]commandFunc{
	"cat": cat,
	"cd":  cd,
	"date": func(_ context.Context, sh *shell, _ []string) int {
		return sh.say(time.Now().UTC().Format(time.UnixDate))
	},
	"echo":     echo,
	"env":      env,
	"exit":     exit,
	"export":   export,
	"false":    func(context.Context, *shell, []string) int { return 1 },
	"hostname": func(_ context.Context, sh *shell, _ []string) int { return sh.say(sh.pod.Name) },
	"id":       func(_ context.Context, sh *shell, _ []string) int { return sh.say("uid=0(root) gid=0(root)") },
	"kubectl":  kubectlCommand,
	"ls":       ls,
	"printenv": env,
	"ps": func(_ context.Context, sh *shell, _ []string) int {
		return sh.say("PID   USER     COMMAND\n    1 root     main")
	},
	"pwd":    func(_ context.Context, sh *shell, _ []string) int { return sh.say(sh.dir) },
	"seq":    seq,
	"sleep":  sleep,
	"stty":   stty,
	"tar":    tarCommand,
	"test":   test,
	"true":   func(context.Context, *shell, []string) int { return 0 },
	"uname":  func(_ context.Context, sh *shell, _ []string) int { return sh.say("Linux") },
	"wc":     wc,
	"whoami": func(_ context.Context, sh *shell, _ []string) int { return sh.say("root") },
}

func (sh *shell) say(text string) int {
	fmt.Fprintln(sh.out, text)
	return 0
}

func (sh *shell) fail(format string, args ...any) int {
	fmt.Fprintf(sh.errOut, format+"\n", args...)
	return 1
}

func echo(_ context.Context, sh *shell, args []string) int {
	if len(args) > 0 && args[0] == "-n" {
		fmt.Fprint(sh.out, strings.Join(args[1:], " "))
		return 0
	}
	return sh.say(strings.Join(args, " "))
}

func env(_ context.Context, sh *shell, args []string) int {
	if len(args) > 0 {
		value, ok := sh.env[args[0]]
		if !ok {
			return 1
		}
		return sh.say(value)
	}
	for _, name := range slices.Sorted(maps.Keys(sh.env)) {
		fmt.Fprintf(sh.out, "%s=%s\n", name, sh.env[name])
	}
	return 0
}

func export(_ context.Context, sh *shell, args []string) int {
	for _, arg := range args {
		if name, value, ok := strings.Cut(arg, "="); ok {
			sh.env[name] = value
		}
	}
	return 0
}

func exit(_ context.Context, sh *shell, args []string) int {
	sh.exited = true
	if len(args) == 0 {
		return sh.last
	}
	code, err := strconv.Atoi(args[0])
	if err != nil {
		fmt.Fprintf(sh.errOut, "exit: Illegal number: %s\n", args[0])
		return exitMisuse
	}
	return code & 0xff
}

func cat(_ context.Context, sh *shell, args []string) int {
	if len(args) == 0 || args[0] == "-" {
		if _, err := io.Copy(sh.out, sh.in); err != nil {
			return 1
		}
		return 0
	}
	code := 0
	for _, name := range args {
		content, ok := sh.files[sh.absolute(name)]
		if !ok {
			code = sh.fail("cat: can't open '%s': No such file or directory", name)
			continue
		}
		fmt.Fprint(sh.out, content)
	}
	return code
}

func cd(_ context.Context, sh *shell, args []string) int {
	dir := "/"
	if len(args) > 0 {
		dir = sh.absolute(args[0])
	}
	if _, ok := sh.list(dir); !ok {
		return sh.fail("cd: can't cd to %s: No such file or directory", dir)
	}
	sh.dir = dir
	return 0
}

func ls(_ context.Context, sh *shell, args []string) int {
	var names []string
	for _, arg := range args {
		if !strings.HasPrefix(arg, "-") {
			names = append(names, arg)
		}
	}
	if len(names) == 0 {
		names = []string{sh.dir}
	}
	code := 0
	for _, name := range names {
		target := sh.absolute(name)
		if _, ok := sh.files[target]; ok {
			sh.say(name)
			continue
		}
		entries, ok := sh.list(target)
		if !ok {
			code = sh.fail("ls: %s: No such file or directory", name)
			continue
		}
		for _, entry := range entries {
			sh.say(entry)
		}
	}
	return code
}

func seq(ctx context.Context, sh *shell, args []string) int {
	if len(args) == 0 {
		return sh.fail("seq: missing operand")
	}
	last, err := strconv.Atoi(args[len(args)-1])
	if err != nil {
		return sh.fail("seq: invalid number '%s'", args[len(args)-1])
	}
	// Buffered: this is how clients are tested with a lot of output.
	out := bufio.NewWriter(sh.out)
	for i := 1; i <= last && ctx.Err() == nil; i++ {
		if _, err := fmt.Fprintln(out, i); err != nil {
			return 1
		}
	}
	if err := out.Flush(); err != nil {
		return 1
	}
	return 0
}

func sleep(ctx context.Context, sh *shell, args []string) int {
	if len(args) == 0 {
		return sh.fail("sleep: missing operand")
	}
	seconds, err := strconv.ParseFloat(args[0], 64)
	if err != nil {
		return sh.fail("sleep: invalid number '%s'", args[0])
	}
	timer := time.NewTimer(time.Duration(seconds * float64(time.Second)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return 0
	case <-ctx.Done():
		return 1
	}
}

func stty(ctx context.Context, sh *shell, args []string) int {
	if !sh.tty {
		return sh.fail("stty: standard input: Not a tty")
	}
	if len(args) > 0 && args[0] == "size" {
		size := sh.size.get(ctx)
		fmt.Fprintf(sh.out, "%d %d\n", size.Height, size.Width)
	}
	return 0
}

func wc(_ context.Context, sh *shell, _ []string) int {
	counter := &counter{}
	if _, err := io.Copy(counter, sh.in); err != nil {
		return 1
	}
	fmt.Fprintf(sh.out, "%d lines %d bytes\n", counter.lines, counter.bytes)
	return 0
}

type counter struct{ lines, bytes int }

func (c *counter) Write(p []byte) (int, error) {
	c.bytes += len(p)
	c.lines += strings.Count(string(p), "\n")
	return len(p), nil
}

// environment is what a process in the container would see.
func environment(pod *corev1.Pod, container string) map[string]string {
	env := map[string]string{
		"PATH":                    "/usr/local/bin:/usr/bin:/bin",
		"HOME":                    "/root",
		"HOSTNAME":                pod.Name,
		"KUBERNETES_SERVICE_HOST": "10.96.0.1",
		"KUBERNETES_SERVICE_PORT": "443",
	}
	if c := findContainer(pod, container); c != nil {
		for _, e := range c.Env {
			if e.ValueFrom == nil {
				env[e.Name] = e.Value
			}
		}
	}
	return env
}

// fileSystem is what every container holds; names that end in / are empty
// directories.
func fileSystem(pod *corev1.Pod) map[string]string {
	files := map[string]string{
		"/bin/sh":          "",
		"/dev/null":        "",
		"/etc/hostname":    pod.Name + "\n",
		"/etc/hosts":       fmt.Sprintf("127.0.0.1\tlocalhost\n%s\t%s\n", pod.Status.PodIP, pod.Name),
		"/etc/os-release":  "NAME=\"Fake Linux\"\nID=fake\n",
		"/etc/resolv.conf": fmt.Sprintf("search %s.svc.cluster.local svc.cluster.local\nnameserver 10.96.0.10\n", pod.Namespace),
		"/root/":           "",
		"/tmp/":            "",
		"/usr/":            "",
		"/var/log/":        "",
	}
	for _, c := range pod.Spec.Containers {
		for _, mount := range c.VolumeMounts {
			files[path.Clean(mount.MountPath)+"/"] = ""
		}
	}
	return files
}
