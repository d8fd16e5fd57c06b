package kubelet

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func runningFor(age time.Duration) *containerLog {
	pod := testPod()
	start := metav1.NewTime(time.Now().Add(-age))
	pod.Status.StartTime = &start
	return newLog(pod, "app")
}

func lines(t *testing.T, l *containerLog, opts logOptions) []string {
	t.Helper()
	var out bytes.Buffer
	if err := l.write(t.Context(), flushed{w: &out}, opts); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
}

func TestLogLines(t *testing.T) {
	all := logOptions{tail: -1, limit: -1}
	for _, test := range []struct {
		name  string
		age   time.Duration
		opts  logOptions
		since time.Duration
		want  int
	}{
		{"just started", 0, all, 0, startupLines},
		{"after five seconds", 5 * time.Second, all, 0, startupLines + 5},
		{"cut when old", 24 * time.Hour, all, 0, keptLines},
		{"tail", time.Hour, logOptions{tail: 7, limit: -1}, 0, 7},
		{"since", time.Hour, all, 9500 * time.Millisecond, 10},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if test.since > 0 {
					test.opts.since = time.Now().Add(-test.since)
				}
				if got := len(lines(t, runningFor(test.age), test.opts)); got != test.want {
					t.Errorf("%d lines instead of %d", got, test.want)
				}
			})
		})
	}
}

func TestLogIsTheSameAtEveryReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := runningFor(time.Minute)
		opts := logOptions{tail: -1, limit: -1, timestamps: true}
		first := lines(t, l, opts)
		time.Sleep(10 * time.Second)
		second := lines(t, l, opts)
		for i := range first {
			if first[i] != second[i] {
				t.Fatalf("line %d: %q, then %q", i, first[i], second[i])
			}
		}
	})
}

func TestLogLimit(t *testing.T) {
	var out bytes.Buffer
	err := runningFor(time.Minute).write(t.Context(), flushed{w: &out}, logOptions{tail: -1, limit: 100, follow: true})
	if !errors.Is(err, io.EOF) || out.Len() != 100 {
		t.Errorf("%d bytes, %v", out.Len(), err)
	}
}

func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		var out bytes.Buffer
		if err := runningFor(time.Minute).write(ctx, flushed{w: &out}, logOptions{follow: true, tail: 0, limit: -1}); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(out.String(), "\n"); n != 2 {
			t.Errorf("%d lines in 2.5 seconds", n)
		}
	})
}

func TestFollowEndsWithTheContainer(t *testing.T) {
	pod := testPod()
	start, end := metav1.NewTime(time.Now().Add(-time.Hour)), metav1.NewTime(time.Now().Add(-time.Hour+3*time.Second))
	pod.Status.StartTime = &start
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: "app", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{FinishedAt: end}},
	}}
	if got := len(lines(t, newLog(pod, "app"), logOptions{follow: true, tail: -1, limit: -1})); got != startupLines+3 {
		t.Errorf("%d lines", got)
	}
}

func TestParseLogOptions(t *testing.T) {
	now := time.Now()
	opts, err := parseLogOptions(url.Values{
		"follow": {"true"}, "tailLines": {"5"}, "sinceSeconds": {"60"}, "limitBytes": {"9"}, "timestamps": {"true"},
	}, now)
	want := logOptions{follow: true, timestamps: true, tail: 5, since: now.Add(-time.Minute), limit: 9}
	if err != nil || opts != want {
		t.Errorf("%+v, %v", opts, err)
	}
	if _, err := parseLogOptions(url.Values{"tailLines": {"x"}}, now); err == nil {
		t.Error("an invalid number was taken")
	}
}
