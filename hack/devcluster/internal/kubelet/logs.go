package kubelet

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
)

const (
	// startupLines are written when a container starts, then one each second.
	startupLines = 10
	// keptLines is where the log of a container that runs for long is cut.
	keptLines = 1000
)

// logOptions is the query of a request for logs.
type logOptions struct {
	follow     bool
	timestamps bool
	// tail is the number of old lines to begin with, all if negative.
	tail  int
	since time.Time
	// limit is the number of bytes after which to stop, none if negative.
	limit int64
}

func parseLogOptions(query url.Values, now time.Time) (logOptions, error) {
	opts := logOptions{tail: -1, limit: -1}
	var err error
	parse := func(name string, set func(string) error) {
		if value := query.Get(name); value != "" && err == nil {
			if e := set(value); e != nil {
				err = fmt.Errorf("invalid %s %q: %w", name, value, e)
			}
		}
	}
	parse("follow", func(v string) (e error) { opts.follow, e = strconv.ParseBool(v); return })
	parse("timestamps", func(v string) (e error) { opts.timestamps, e = strconv.ParseBool(v); return })
	parse("tailLines", func(v string) (e error) { opts.tail, e = strconv.Atoi(v); return })
	parse("limitBytes", func(v string) (e error) { opts.limit, e = strconv.ParseInt(v, 10, 64); return })
	parse("sinceTime", func(v string) (e error) { opts.since, e = time.Parse(time.RFC3339, v); return })
	parse("sinceSeconds", func(v string) error {
		seconds, e := strconv.Atoi(v)
		opts.since = now.Add(-time.Duration(seconds) * time.Second)
		return e
	})
	return opts, err
}

func (s *Server) logs(w http.ResponseWriter, r *http.Request, pod *corev1.Pod) {
	opts, err := parseLogOptions(r.URL.Query(), time.Now())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	container := r.PathValue("container")
	if r.URL.Query().Get("previous") == "true" {
		http.Error(w, fmt.Sprintf("previous terminated container %q in pod %q not found", container, pod.Name),
			http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	controller := http.NewResponseController(w)
	// A client that follows waits for the headers before the first new line.
	_ = controller.Flush()
	// An error here is a client that went away.
	_ = newLog(pod, container).write(r.Context(), flushed{w: w, flush: controller.Flush}, opts)
}

// containerLog is the log of a container, computed rather than kept: line i is
// the same at every reading.
type containerLog struct {
	pod       *corev1.Pod
	container string
	start     time.Time
	// end is zero while the container runs.
	end time.Time
}

func newLog(pod *corev1.Pod, container string) *containerLog {
	l := &containerLog{pod: pod, container: container, start: pod.CreationTimestamp.Time}
	if pod.Status.StartTime != nil {
		l.start = pod.Status.StartTime.Time
	}
	for _, statuses := range [][]corev1.ContainerStatus{pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses} {
		for _, status := range statuses {
			if status.Name == container && status.State.Terminated != nil {
				l.end = status.State.Terminated.FinishedAt.Time
			}
		}
	}
	return l
}

// at is when line i was written.
func (l *containerLog) at(i int) time.Time {
	if i < startupLines {
		return l.start.Add(time.Duration(i) * time.Millisecond)
	}
	return l.start.Add(time.Duration(i-startupLines+1) * time.Second)
}

// count is how many lines there are at a time.
func (l *containerLog) count(now time.Time) int {
	if !l.end.IsZero() && now.After(l.end) {
		now = l.end
	}
	return startupLines + max(0, int(now.Sub(l.start)/time.Second))
}

func (l *containerLog) line(i int) string {
	if i < startupLines {
		return fmt.Sprintf("level=info msg=\"starting %s\" pod=%s/%s step=%d/%d\n",
			l.container, l.pod.Namespace, l.pod.Name, i+1, startupLines)
	}
	return fmt.Sprintf("level=info msg=\"request served\" container=%s n=%d path=/api/items/%d status=200\n",
		l.container, i-startupLines+1, i*7919%1000)
}

func (l *containerLog) write(ctx context.Context, w flushed, opts logOptions) error {
	next, err := l.writeOld(w, &opts)
	if err != nil || !opts.follow || !l.end.IsZero() {
		return err
	}
	for {
		timer := time.NewTimer(time.Until(l.at(next)))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		if err := l.writeLine(w, next, &opts); err != nil {
			return err
		}
		next++
	}
}

// writeOld writes what there is already and returns the number of the next line.
func (l *containerLog) writeOld(w flushed, opts *logOptions) (int, error) {
	count := l.count(time.Now())
	first := max(0, count-keptLines)
	if opts.tail >= 0 {
		first = max(first, count-opts.tail)
	}
	for i := first; i < count; i++ {
		if l.at(i).Before(opts.since) {
			continue
		}
		if err := l.writeLine(flushed{w: w.w}, i, opts); err != nil {
			return 0, err
		}
	}
	return count, w.now()
}

// writeLine writes a line as far as the limit allows, and io.EOF is the limit.
func (l *containerLog) writeLine(w flushed, i int, opts *logOptions) error {
	line := l.line(i)
	if opts.timestamps {
		line = l.at(i).UTC().Format(time.RFC3339Nano) + " " + line
	}
	if opts.limit >= 0 {
		line = line[:min(int64(len(line)), opts.limit)]
		opts.limit -= int64(len(line))
	}
	if _, err := io.WriteString(w.w, line); err != nil {
		return err
	}
	if err := w.now(); err != nil {
		return err
	}
	if opts.limit == 0 {
		return io.EOF
	}
	return nil
}

// flushed is a writer and, if it holds back, the way to make it not.
type flushed struct {
	w     io.Writer
	flush func() error
}

func (f flushed) now() error {
	if f.flush == nil {
		return nil
	}
	return f.flush()
}
