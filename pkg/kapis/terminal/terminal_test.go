package terminal

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/tools/remotecommand"
	utilexec "k8s.io/client-go/util/exec"

	"github.com/super-kubenetes/ks-apiserver/pkg/authn"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

func exited(code int) error { return utilexec.CodeExitError{Err: errors.New("exit"), Code: code} }

func TestOutcome(t *testing.T) {
	for _, test := range []struct {
		name  string
		err   error
		shown bool
		code  websocket.StatusCode
		text  string
	}{
		{"the shell ended", nil, true, websocket.StatusNormalClosure, "has ended"},
		{"with a code", exited(130), true, websocket.StatusNormalClosure, "has ended"},
		{"with that of its last command", exited(127), true, websocket.StatusNormalClosure, "has ended"},
		{"there is none, by code", exited(126), false, websocket.StatusInternalError, "does not have that shell"},
		{"there is none, by the runtime", errors.New(`exec: "bash": executable file not found in $PATH`), false, websocket.StatusInternalError, "does not have that shell"},
		{"Kubernetes says why", apierrors.NewBadRequest("the container has stopped"), false, websocket.StatusInternalError, "the container has stopped"},
		{"nobody says why", errors.New("10.0.0.1: reset"), false, websocket.StatusInternalError, "internal error"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := outcome(test.err, test.shown); got.code != test.code || !strings.Contains(got.reason, test.text) || strings.Contains(got.reason, "10.0.0.1") {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestIncomplete(t *testing.T) {
	for text, want := range map[string]int{"": 0, "a": 0, "ü": 0, "a\xc3": 1, "a\xe2\x82": 2, "\xf0\x9f\x98": 3, "😀": 0, "\xff": 0, "a\x82": 0} {
		if got := incomplete([]byte(text)); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

// connected is a socket with a client at its other end.
func connected(t *testing.T) (*socket, *websocket.Conn) {
	t.Helper()
	made := make(chan *socket)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		s := newSocket(context.WithoutCancel(r.Context()), conn, time.Now)
		made <- s
		_ = s.receive()
		s.hangUp()
	}))
	t.Cleanup(server.Close)
	conn, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http"), nil) //nolint:bodyclose // it is none
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	return <-made, conn
}

func send(t *testing.T, conn *websocket.Conn, frame string) {
	t.Helper()
	if err := conn.Write(t.Context(), websocket.MessageText, []byte(frame)); err != nil {
		t.Fatal(err)
	}
}

// What is typed while one shell is looked for in vain is there for the next.
func TestNextShellGetsWhatWasTyped(t *testing.T) {
	s, conn := connected(t)
	over := make(chan struct{})
	first, second := &attached{socket: s, over: over}, &attached{socket: s, over: make(chan struct{})}
	gone := make(chan error)
	go func() {
		_, err := first.Read(make([]byte, 10))
		gone <- err
	}()
	sizes := make(chan *remotecommand.TerminalSize)
	go func() { sizes <- first.Next() }()
	close(over)
	if err := <-gone; !errors.Is(err, io.EOF) {
		t.Errorf("the first one reads %v", err)
	}
	if size := <-sizes; size != nil {
		t.Errorf("the first one has size %v", size)
	}
	send(t, conn, `{"Op":"resize","Cols":10,"Rows":5}`)
	send(t, conn, `{"Op":"resize","Cols":100,"Rows":50}`)
	send(t, conn, `{"Op":"stdin","Data":"ls"}`)
	into := make([]byte, 1)
	for _, want := range []string{"l", "s"} {
		if n, err := second.Read(into); n != 1 || err != nil || string(into) != want {
			t.Errorf("read %q %v, want %q", into[:n], err, want)
		}
	}
	if size := second.Next(); size == nil || size.Width != 100 || size.Height != 50 {
		t.Errorf("size %v", size)
	}
	// Who leaves has typed Ctrl-D.
	_ = conn.CloseNow()
	if n, err := second.Read(into); n != 1 || err != nil || into[0] != 4 {
		t.Errorf("read %q %v", into[:n], err)
	}
	if _, err := second.Read(into); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v", err)
	}
}

func TestUnreadInputIsBounded(t *testing.T) {
	s := &socket{now: time.Now, arrived: make(chan struct{}, 1)}
	paste := frame{Op: opInput, Data: strings.Repeat("x", maxUnread)}
	if err := s.take(paste); err != nil {
		t.Fatal(err)
	}
	if err := s.take(frame{Op: opInput, Data: "x"}); !errors.Is(err, errUnread) {
		t.Errorf("got %v", err)
	}
}

// TestTemporaryFiles: one user cannot fill the disk with forms on their way.
func TestTemporaryFiles(t *testing.T) {
	l := NewLimits(20, 400).Files(100)
	var all []func()
	for _, test := range []struct {
		user string
		size int64
		code int32
	}{
		{"a", 100 + formOverhead, 0}, {"a", 100 + formOverhead, 0}, {"a", 1, 429}, {"b", 2 * (100 + formOverhead), 0},
		{"c", 2 * (100 + formOverhead), 0}, {"d", 2 * (100 + formOverhead), 0}, {"e", 1, 429},
	} {
		release, err := l.keep(test.user, test.size)
		if test.code == 0 && err != nil || test.code != 0 && (err == nil || status.Of(err).Code != test.code) {
			t.Errorf("%s, %d bytes: %v, want %d", test.user, test.size, err, test.code)
		}
		if err == nil {
			all = append(all, release)
		}
	}
	for _, release := range all {
		release()
	}
	if l.spool.Held() != 0 {
		t.Errorf("%d bytes are kept", l.spool.Held())
	}
}

func TestLimits(t *testing.T) {
	l := NewLimits(2, 3)
	take := func(user string, code int32) func() {
		t.Helper()
		release, err := l.take(user)
		if got := status.Of(err).Code; err != nil && got != code || err == nil && code != 0 {
			t.Errorf("%s: %v, want %d", user, err, code)
		}
		return release
	}
	first := take("a", 0)
	take("a", 0)
	take("a", http.StatusTooManyRequests)
	take("b", 0)
	take("b", http.StatusTooManyRequests)
	first()
	first() // counts once
	if l.Open() != 2 {
		t.Errorf("%d open", l.Open())
	}
	take("b", 0)
}

func TestUpgrades(t *testing.T) {
	for value, want := range map[string]bool{"websocket": true, "WebSocket": true, "h2c, websocket": true, "h2c": false, "": false} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Upgrade", value)
		if upgrades(r) != want {
			t.Errorf("%q", value)
		}
	}
}

func TestSameOrigin(t *testing.T) {
	password, token := &user.DefaultInfo{Name: "a", Extra: map[string][]string{authn.ExtraPasswordDigest: {"d"}}}, &user.DefaultInfo{Name: "a", Extra: map[string][]string{"session": {"s"}}}
	for _, test := range []struct {
		origin string
		who    user.Info
		want   bool
	}{
		{"", password, true}, {"http://ks.example", password, true}, {"https://evil.example", password, false}, {"null", password, false}, {"http://%", password, false},
		{"https://evil.example", token, true}, {"https://evil.example", &user.DefaultInfo{Name: "a"}, false},
	} {
		r := httptest.NewRequest(http.MethodGet, "http://ks.example/", nil)
		if test.origin != "" {
			r.Header.Set("Origin", test.origin)
		}
		if sameOrigin(r, test.who) != test.want {
			t.Errorf("%q", test.origin)
		}
	}
}

func TestChoose(t *testing.T) {
	pod := &corev1.Pod{Spec: corev1.PodSpec{
		Containers:          []corev1.Container{{Name: "a"}, {Name: "b"}},
		InitContainers:      []corev1.Container{{Name: "i"}},
		EphemeralContainers: []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "e"}}},
	}}
	for asked, want := range map[string]string{"": "a", "b": "b", "i": "i", "e": "e", "none": ""} {
		if got, err := choose(pod, asked); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q %v", asked, got, err)
		}
	}
	pod.Annotations = map[string]string{annotationDefaultContainer: "b"}
	if got, err := choose(pod, ""); got != "b" || err != nil {
		t.Errorf("by annotation: %q %v", got, err)
	}
	pod.Annotations[annotationDefaultContainer] = "gone"
	if got, err := choose(pod, ""); got != "a" || err != nil {
		t.Errorf("by a wrong annotation: %q %v", got, err)
	}
}

func TestPodName(t *testing.T) {
	a, b := PodName("a.b@example.com"), PodName("a-b@example.com")
	if a == b || len(a) != 48 || a != PodName("a.b@example.com") {
		t.Errorf("%s %s", a, b)
	}
	k := &Kubectl{Namespace: "there", Server: "https://ks"}
	for _, test := range []struct {
		user, namespace, pod string
		want                 bool
	}{
		{"a", "there", PodName("a"), true}, {"b", "there", PodName("a"), false}, {"a", "elsewhere", PodName("a"), false}, {"a", "there", "kubectl-", false},
	} {
		if k.Own(test.user, test.namespace, test.pod) != test.want {
			t.Errorf("%+v", test)
		}
	}
	if (*Kubectl)(nil).Own("a", "", "") || (&Kubectl{}).Own("a", "", PodName("a")) {
		t.Error("where there are none")
	}
}

func TestCheckPathAndName(t *testing.T) {
	for path, want := range map[string]bool{
		"/": true, "/a/b.txt": true, "/a/..b": true, "/-rf": true, "": false, "a": false, "/a/../b": false, "/..": false, "/a\x00": false, "/" + strings.Repeat("a", longestPath): false,
	} {
		if (checkPath(path) == nil) != want {
			t.Errorf("%.50q", path)
		}
	}
	for name, want := range map[string]bool{"a b.txt": true, "-rf": true, "": false, ".": false, "..": false, "a/b": false, `C:\a`: false, "a\nb": false, strings.Repeat("a", 256): false} {
		if (checkName(name) == nil) != want {
			t.Errorf("%.50q", name)
		}
	}
}

// What is unpacked elsewhere than in its directory is left out (kubectl cp had
// CVE-2018-1002100 and successors).
func TestInside(t *testing.T) {
	for _, test := range []struct {
		kind       byte
		name, link string
		want       bool
	}{
		{tar.TypeReg, "./d/f", "", true}, {tar.TypeDir, "d/", "", true}, {tar.TypeDir, "./", "", false},
		{tar.TypeReg, "../f", "", false}, {tar.TypeReg, "/etc/passwd", "", false}, {tar.TypeReg, "d/../../f", "", false},
		{tar.TypeSymlink, "d/l", "f", true}, {tar.TypeSymlink, "d/l", "../f", true}, {tar.TypeSymlink, "d/l", "../../f", false}, {tar.TypeSymlink, "d/l", "/etc", false},
		{tar.TypeLink, "d/l", "/etc/passwd", false}, {tar.TypeChar, "d/null", "", false}, {tar.TypeFifo, "d/pipe", "", false},
	} {
		if inside(&tar.Header{Typeflag: test.kind, Name: test.name, Linkname: test.link}) != test.want {
			t.Errorf("%c %s -> %s", test.kind, test.name, test.link)
		}
	}
}

func TestTarFailed(t *testing.T) {
	for _, test := range []struct {
		err       error
		complaint string
		code      int32
		text      string
	}{
		{exited(127), "", 400, "has no tar"},
		{errors.New(`exec: "tar": executable file not found in $PATH`), "", 400, "has no tar"},
		{exited(1), "tar: ./x: No such file or directory", 404, "No such file"},
		{exited(2), "tar: disk full", 400, "disk full"},
		{io.EOF, "", 400, "something else"},
		{tar.ErrHeader, "usage", 400, "something else"},
		{errors.New("10.0.0.1 resets"), "", 500, "internal error"},
	} {
		if got := status.Of(tarFailed(test.err, test.complaint)); got.Code != test.code || !strings.Contains(got.Message, test.text) || strings.Contains(got.Message, "10.0.0.1") {
			t.Errorf("%v: %d %s", test.err, got.Code, got.Message)
		}
	}
}

func TestComplaintIsBounded(t *testing.T) {
	var b beginning
	for range 100 {
		if n, err := b.Write([]byte(strings.Repeat("x", 100))); n != 100 || err != nil {
			t.Fatal(n, err)
		}
	}
	if len(b.String()) != longestComplaint {
		t.Errorf("%d bytes", len(b.String()))
	}
}
