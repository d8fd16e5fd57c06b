package terminal

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	utilexec "k8s.io/client-go/util/exec"
	"k8s.io/streaming/pkg/httpstream"

	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// target is the container something runs in.
type target struct {
	namespace, pod, container string
	// prefix is what starts the shell where it shall be.
	prefix []string
}

// Codes a shell or a runtime ends with when there is no such command.
const (
	exitNotExecutable = 126
	exitNotFound      = 127
)

// missing reports whether a command may have failed since it is not there:
// runtimes say so by an exit code or as an error of theirs.
func missing(err error) bool {
	var exit utilexec.CodeExitError
	if errors.As(err, &exit) {
		return exit.Code == exitNotExecutable || exit.Code == exitNotFound
	}
	return err != nil
}

// exec runs a command in a container. Kubernetes sees who it runs for, and decides about
// it, too. In the user's pod for kubectl, which is no namespace of the user's, this server
// runs it.
func (h *Handler) exec(ctx context.Context, who user.Info, where target, command []string, options remotecommand.StreamOptions) error {
	executor, err := executorFor(h.Config, where, command, options)
	if err != nil {
		return err
	}
	ctx = kube.WithCaller(ctx, who)
	if h.Kubectl.Own(who.GetName(), where.namespace, where.pod) {
		ctx = kube.AsServer(ctx)
	}
	return executor.StreamWithContext(ctx, options)
}

// executorFor speaks WebSockets, and SPDY to a kube-apiserver that does not.
func executorFor(config *rest.Config, where target, command []string, options remotecommand.StreamOptions) (remotecommand.Executor, error) {
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, err
	}
	at := base.JoinPath("api", "v1", "namespaces", where.namespace, "pods", where.pod, "exec")
	query := url.Values{
		"stdin": {strconv.FormatBool(options.Stdin != nil)}, "stdout": {strconv.FormatBool(options.Stdout != nil)},
		"stderr": {strconv.FormatBool(options.Stderr != nil)}, "tty": {strconv.FormatBool(options.Tty)}, "command": command,
	}
	if where.container != "" {
		query.Set("container", where.container)
	}
	at.RawQuery = query.Encode()
	modern, err := remotecommand.NewWebSocketExecutor(config, http.MethodGet, at.String())
	if err != nil {
		return nil, err
	}
	old, err := remotecommand.NewSPDYExecutor(config, http.MethodPost, at)
	if err != nil {
		return nil, err
	}
	return remotecommand.NewFallbackExecutor(modern, old, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
}

// choose returns the container of a pod that was asked for, or as kubectl the
// one an annotation names, or the first.
func choose(pod *corev1.Pod, asked string) (string, error) {
	if asked == "" {
		if asked = pod.Annotations[annotationDefaultContainer]; asked == "" || !has(pod, asked) {
			return pod.Spec.Containers[0].Name, nil
		}
	}
	if !has(pod, asked) {
		return "", status.NotFound("container %q not found in pod %q", asked, pod.Name)
	}
	return asked, nil
}

// annotationDefaultContainer names the container of a pod commands run in.
const annotationDefaultContainer = "kubectl.kubernetes.io/default-container"

func has(pod *corev1.Pod, container string) bool {
	for n := range pod.Spec.Containers {
		if pod.Spec.Containers[n].Name == container {
			return true
		}
	}
	for n := range pod.Spec.InitContainers {
		if pod.Spec.InitContainers[n].Name == container {
			return true
		}
	}
	for n := range pod.Spec.EphemeralContainers {
		if pod.Spec.EphemeralContainers[n].Name == container {
			return true
		}
	}
	return false
}
