//go:build load

package load

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func listen() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") }

const mebibyte = 1 << 20

// TestSlowClients: slow bodies and unread answers on 1,000 connections leave the
// 99th percentile of a page within twice that of silence, and health answers.
func TestSlowClients(t *testing.T) {
	p := start(t)
	admin := p.login(t, "admin", adminPassword)
	_, _, _ = p.do(t.Context(), http.MethodPost, "/kapis/iam.kubesphere.io/v1alpha2/users", admin,
		`{"apiVersion":"iam.kubesphere.io/v1alpha2","kind":"User","metadata":{"name":"load-reg","annotations":{"iam.kubesphere.io/globalrole":"platform-regular"}},"spec":{"email":"load-reg@example.com","password":"Passw0rd-load"}}`, "Content-Type", "application/json")
	reg := p.login(t, "load-reg", "Passw0rd-load")
	p.percentile99(t, page, admin, 400) // warm
	// Kubernetes makes its document when it is asked for it first.
	if code, _, err := p.do(t.Context(), http.MethodGet, "/openapi/v2", reg, ""); code != http.StatusOK {
		t.Fatalf("%d, %v", code, err)
	}
	idle := p.memory(t)
	used := p.processor(t)
	silence := p.percentile99(t, page, admin, 2000)
	quiet := p.processor(t) - used
	most := p.peak(t)
	for n := range 1000 {
		conn, err := net.Dial("tcp", p.address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		text := "POST /oauth/token HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\ng"
		if n%2 == 0 {
			_ = conn.(*net.TCPConn).SetReadBuffer(4096)
			text = "GET /openapi/v2 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + reg + "\r\n\r\n"
		}
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(2 * time.Second)
	used = p.processor(t)
	attacked := p.percentile99(t, page, admin, 2000)
	busy := p.processor(t) - used
	health := p.percentile99(t, "/readyz", "", 400)
	grown := most() - idle
	t.Logf("p99 of the page: %s, in silence %s: %.2f; of health %s; memory +%d MiB; processor %s, in silence %s", attacked, silence, float64(attacked)/float64(silence), health, grown/mebibyte, busy, quiet)
	if attacked > 2*silence+2*time.Millisecond {
		t.Errorf("the page takes %.1f times as long", float64(attacked)/float64(silence))
	}
	p.login(t, "admin", adminPassword)
}

// TestPatchBomb: a JSON patch of 2 KB costs at most 10 ms and 10 MB.
func TestPatchBomb(t *testing.T) {
	p := start(t)
	admin := p.login(t, "admin", adminPassword)
	bomb := `[{"op":"add","path":"/spec/x","value":["` + strings.Repeat("a", 1000) + `"]}` + strings.Repeat(`,{"op":"copy","from":"/spec/x","path":"/spec/x/-"}`, 20) + "]"
	send := func(body string) time.Duration {
		began := time.Now()
		code, _, err := p.do(t.Context(), http.MethodPatch, "/apis/iam.kubesphere.io/v1alpha2/users/admin", admin, body, "Content-Type", "application/json-patch+json")
		if err != nil || code/100 != 4 {
			t.Fatalf("%d, %v", code, err)
		}
		return time.Since(began)
	}
	refused := `[{"op":"test","path":"/spec/x","value":1}]` // what everything else costs
	least, plain := time.Hour, time.Hour
	send(bomb)
	before := p.memory(t)
	most := p.peak(t)
	for range 20 {
		least, plain = min(least, send(bomb)), min(plain, send(refused))
	}
	grown := most() - before
	t.Logf("a bomb of %d bytes: %s, a patch that is refused %s; memory +%d KiB after 20", len(bomb), least, plain, grown>>10)
	if least-plain > 10*time.Millisecond || grown > 20*10*mebibyte {
		t.Errorf("it costs %s and %d bytes", least-plain, grown)
	}
}

// TestWholeLists: 20 lists of 55 MB at once stay under 512 MiB above idle, in every
// form.
func TestWholeLists(t *testing.T) {
	const lists, objects, size, limit = 20, 60, 900 << 10, 512 * mebibyte
	c := kubernetes(t)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "load-lists"}}
	if err := c.Create(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Delete(context.Background(), namespace) })
	for n := range objects {
		if err := c.Create(t.Context(), &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("large-%02d", n), Namespace: "load-lists"},
			Data:       map[string]string{"text": strings.Repeat("a{\"[", size/5)},
		}); err != nil {
			t.Fatal(err)
		}
	}
	p := start(t)
	admin := p.login(t, "admin", adminPassword)
	const path = viewer + "/namespaces/load-lists/configmaps"
	const table = "application/json;as=Table;v=v1;g=meta.k8s.io"
	if code, got, err := p.do(t.Context(), http.MethodGet, path, admin, ""); code != 200 || got < 50<<20 || err != nil {
		t.Fatalf("%d, %d bytes, %v", code, got, err)
	}
	for _, form := range []struct{ name, path, accept, encoding string }{
		{"plain", path, "application/json", "identity"},
		{"gzip", path, "application/json", "gzip"},
		{"pretty", path + "?pretty=true", "application/json", "identity"},
		{"table with objects", path + "?includeObject=Object", table, "identity"},
		{"table with objects, pretty", path + "?includeObject=Object&pretty", table, "gzip"},
		{"projection", path + "?fields=metadata.name,data", "application/json", "identity"},
		{"projection, gzip", path + "?fields=metadata.name,data", "application/json", "gzip"},
		{"v1alpha2", "/kapis/resources.kubesphere.io/v1alpha2/namespaces/load-lists/configmaps?paging=limit=-1,page=1&pretty=true", "application/json", "identity"},
		{"the initial state of a watch", path + "?watch=true&timeoutSeconds=2", "application/json", "identity"},
	} {
		t.Run(form.name, func(t *testing.T) {
			time.Sleep(2 * time.Second)
			idle := p.memory(t)
			most := p.peak(t)
			var running sync.WaitGroup
			for range lists {
				running.Go(func() {
					code, got, err := p.do(t.Context(), http.MethodGet, form.path, admin, "", "Accept", form.accept, "Accept-Encoding", form.encoding)
					if code != 200 || err != nil {
						t.Errorf("%d, %d bytes, %v", code, got, err)
					}
				})
			}
			running.Wait()
			grown := most() - idle
			t.Logf("%d at once: +%d MiB above %d MiB", lists, grown/mebibyte, idle/mebibyte)
			if grown > limit {
				t.Errorf("%d MiB", grown/mebibyte)
			}
		})
	}
}

// TestWatches: a user has a bounded number of watches, and each costs little.
func TestWatches(t *testing.T) {
	p := start(t)
	admin := p.login(t, "admin", adminPassword)
	idle := p.memory(t)
	accepted, refused := 0, 0
	for range 1000 {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+viewer+"/pods?watch=true", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+admin)
		response, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		switch response.StatusCode {
		case http.StatusOK:
			defer response.Body.Close()
			accepted++
		case http.StatusTooManyRequests:
			_ = response.Body.Close()
			refused++
		default:
			t.Fatal(response.Status)
		}
	}
	grown := p.memory(t) - idle
	t.Logf("%d watches, %d refused: +%d MiB, %d KiB each", accepted, refused, grown/mebibyte, grown/int64(max(accepted, 1))>>10)
	if refused == 0 || accepted < 500 {
		t.Errorf("%d are accepted", accepted)
	}
}
