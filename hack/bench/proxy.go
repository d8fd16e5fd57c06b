package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/cert"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// way is how a request gets to kube-apiserver: directly, or through ks-apiserver.
type way struct {
	name, address, token string
	client               func(http2 bool) *http.Client
}

// proxied compares requests to Kubernetes that go through ks-apiserver with the
// same ones that do not. Kubernetes gets one processor, everybody else the
// others: in production they are different machines, and if they share one,
// any work at all is taken from what is measured.
func (b *bench) proxied(ctx context.Context) error {
	together, err := separate(os.Getppid(), b.ks.command.Process.Pid)
	if err != nil {
		return err
	}
	defer together()
	member, err := b.member(ctx)
	if err != nil {
		return err
	}
	if err := b.largeList(ctx); err != nil {
		return err
	}
	robot, err := b.cluster.robot(ctx, "bench")
	if err != nil {
		return err
	}
	through := way{name: "through", address: b.secure, token: member, client: func(http2 bool) *http.Client {
		return limited(&tls.Config{InsecureSkipVerify: true}, http2, b.connections) //nolint:gosec // our own, on loopback
	}}
	// There are two ways to be direct: in system:masters, for whom Kubernetes
	// decides nothing and lets nothing wait, or as people are.
	person := way{name: "directly", address: b.cluster.address, token: robot, client: func(http2 bool) *http.Client {
		anybody := b.cluster.tls.Clone()
		anybody.Certificates, anybody.GetClientCertificate = nil, nil
		return limited(anybody, http2, b.connections)
	}}
	master := way{name: "as system:masters", address: b.cluster.address, client: func(http2 bool) *http.Client {
		return limited(b.cluster.tls.Clone(), http2, b.connections)
	}}
	fmt.Printf("%-30s %8s %9s %9s   %8s %9s %9s   %6s %9s %9s %9s   %s\n", "through ks-apiserver", "req/s", "p50", "p99", "directly", "p50", "p99", "rate", "(masters)", "p50 added", "our CPU", "CPU of Kubernetes, directly, (masters)")
	const rounds = 5
	idle, err := b.alone(ctx)
	if err != nil {
		return err
	}
	const small, list = "/api/v1/namespaces/" + project + "/configmaps/kube-root-ca.crt", "/api/v1/namespaces/" + project + "/configmaps"
	for _, w := range []struct {
		name, path  string
		connections int
		http2       bool
		encoding    string
	}{
		{"small GET, HTTP/1.1", small, b.connections, false, "gzip"},
		{"small GET, HTTP/2", small, b.connections, true, "gzip"},
		{"small GET, one at a time", small, 1, true, "gzip"},
		{"list of 1 MiB", list, 8, true, "identity"},
		{"list of 1 MiB, one at a time", list, 1, true, "identity"},
		{"list of 1 MiB, compressed", list, 8, true, "gzip"},
	} {
		var all [3][]figures
		var kubernetes [3][]time.Duration
		var cpu, added []time.Duration
		var rates, masters []float64
		for range rounds {
			// One right after the other, so that all meet the same machine.
			var last [3]figures
			for n, one := range []way{through, person, master} {
				f, used, err := b.drive(ctx, one, w.path, w.connections, w.http2, w.encoding)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", w.name, one.name, err)
				}
				last[n], all[n], kubernetes[n] = f, append(all[n], f), append(kubernetes[n], used)
			}
			// What this server does all the time is not done for a request.
			cpu = append(cpu, last[0].cpu-time.Duration(idle*float64(time.Second)/last[0].rate))
			added = append(added, last[0].p50-last[1].p50)
			rates, masters = append(rates, last[0].rate/last[1].rate), append(masters, last[0].rate/last[2].rate)
		}
		a, d := fastest(all[0]), fastest(all[1])
		slices.Sort(rates)
		slices.Sort(masters)
		fmt.Printf("%-30s %8.0f %9s %9s   %8.0f %9s %9s   %6.2f %9.2f %9s %9s   %s %s (%s)\n", w.name, a.rate, micro(a.p50), micro(a.p99), d.rate, micro(d.p50), micro(d.p99),
			rates[rounds/2], masters[rounds/2], micro(middle(added)), micro(middle(cpu)), micro(middle(kubernetes[0])), micro(middle(kubernetes[1])), micro(middle(kubernetes[2])))
	}
	fmt.Println("at least 0.85 of the rate; for a small request at most 250µs of our CPU and 500µs added")
	return b.idleWatches(ctx, through)
}

// alone is the part of a processor the server uses while nobody asks for anything.
func (b *bench) alone(ctx context.Context) (float64, error) {
	const long = 5 * time.Second
	before, err := b.ks.cpu()
	if err != nil {
		return 0, err
	}
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(long):
	}
	after, err := b.ks.cpu()
	return float64(after-before) / float64(long), err
}

// drive sends requests one way. It returns the figures and the processor time
// of Kubernetes for each.
func (b *bench) drive(ctx context.Context, one way, path string, connections int, http2 bool, encoding string) (figures, time.Duration, error) {
	kubernetes := &process{command: b.ks.command, pid: os.Getppid()}
	before, err := kubernetes.cpu()
	if err != nil {
		return figures{}, 0, err
	}
	c := *b
	c.connections = connections
	client := one.client(http2)
	defer client.CloseIdleConnections()
	f, err := c.run(ctx, client, b.ks, request{token: one.token, encoding: encoding}, http.StatusOK, func(int64) string { return one.address + path })
	if err != nil {
		return figures{}, 0, err
	}
	after, err := kubernetes.cpu()
	return f, (after - before) / time.Duration(f.requests), err
}

func limited(config *tls.Config, http2 bool, connections int) *http.Client {
	t := &http.Transport{TLSClientConfig: config, MaxIdleConnsPerHost: connections, DisableCompression: true, Protocols: new(http.Protocols)}
	t.Protocols.SetHTTP1(!http2)
	t.Protocols.SetHTTP2(http2)
	return &http.Client{Transport: t}
}

// workspace and project are where the benchmark's member is.
const workspace, project = "bench", "bench-large"

// member makes a workspace with a project and a user who has a role in the workspace, and
// returns a token of that one. Kubernetes knows the user's roles by groups.
func (b *bench) member(ctx context.Context) (string, error) {
	const name, password = "bench-member", "Of-a-benchmark-1"
	const tenants, accounts = "/kapis/tenant.kubesphere.io/v1alpha2/workspaces", "/kapis/iam.kubesphere.io/v1alpha2"
	type fields = map[string]any
	for _, one := range []struct {
		path string
		body any
	}{
		{tenants, fields{"metadata": fields{"name": workspace}}},
		{tenants + "/" + workspace + "/namespaces", fields{"metadata": fields{"name": project}}},
		{accounts + "/users", fields{
			"metadata": fields{"name": name, "annotations": fields{"iam.kubesphere.io/globalrole": "platform-regular", "iam.kubesphere.io/uninitialized": "false"}},
			"spec":     fields{"email": name + "@example.com", "password": password},
		}},
		{accounts + "/workspaces/" + workspace + "/workspacemembers", []fields{{"username": name, "roleRef": workspace + "-admin"}}},
	} {
		if err := post(ctx, b.ks.address+one.path, b.admin, one.body); err != nil {
			return "", err
		}
	}
	return login(ctx, b.ks.address, name, password)
}

// largeList makes ConfigMaps in the project that are listed in a mebibyte.
func (b *bench) largeList(ctx context.Context) error {
	const each = 4 << 10
	text := strings.Repeat("0123456789abcdef", each/16)
	for n := range 1 << 20 / (each + 300) {
		m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: project, Name: fmt.Sprint("large-", n)}, Data: map[string]string{"text": text}}
		if err := b.cluster.objects.Create(ctx, m); client.IgnoreAlreadyExists(err) != nil {
			return err
		}
	}
	return nil
}

// idleWatches sees what watches cost that nothing happens in.
func (b *bench) idleWatches(ctx context.Context, through way) error {
	const many, warm = 1000, 200
	for _, kind := range []struct {
		name    string
		address string
		client  func() *http.Client
	}{
		{"over HTTP/2", through.address, func() *http.Client { return through.client(true) }},
		{"over a connection each", b.ks.address, func() *http.Client { return &http.Client{Transport: &http.Transport{}} }},
		{"over a TLS connection each", through.address, func() *http.Client { return through.client(false) }},
	} {
		open := func(number int) (stop func(), err error) {
			watching, cancel := context.WithCancel(ctx)
			client := kind.client()
			var opened sync.WaitGroup
			failed := make(chan error, number)
			slots := make(chan struct{}, 32)
			for range number {
				slots <- struct{}{}
				opened.Go(func() {
					defer func() { <-slots }()
					r, err := http.NewRequestWithContext(watching, http.MethodGet, kind.address+"/api/v1/namespaces/bench-large/secrets?watch=true&timeoutSeconds=600", nil)
					if err != nil {
						failed <- err
						return
					}
					r.Header.Set("Authorization", "Bearer "+b.admin)
					response, err := client.Do(r) //nolint:bodyclose // it is, when the watch ends
					if err != nil {
						failed <- err
						return
					}
					go func() {
						defer func() { _ = response.Body.Close() }()
						_, _ = io.Copy(io.Discard, response.Body)
					}()
				})
			}
			opened.Wait()
			stop = func() { cancel(); client.CloseIdleConnections() }
			select {
			case err := <-failed:
				stop()
				return nil, err
			default:
				return stop, nil
			}
		}
		// What the first ones need is kept: it is not what each costs.
		stop, err := open(warm)
		if err != nil {
			return err
		}
		stop()
		time.Sleep(2 * time.Second)
		memory, heap, goroutines, err := b.weigh(ctx)
		if err != nil {
			return err
		}
		if stop, err = open(many); err != nil {
			return err
		}
		time.Sleep(2 * time.Second)
		cpu, err := b.ks.cpu()
		if err != nil {
			return err
		}
		const idle = 5 * time.Second
		time.Sleep(idle)
		later, err := b.ks.cpu()
		if err != nil {
			return err
		}
		moreMemory, moreHeap, more, err := b.weigh(ctx)
		stop()
		if err != nil {
			return err
		}
		fmt.Printf("%d idle watches %s: each %.1f KB resident, %.1f KB of heap and stacks, %.1f goroutines (at most 60 KB); together %.2f%% of a processor\n", many, kind.name,
			float64(moreMemory-memory)/1000/many, float64(moreHeap-heap)/1000/many, float64(more-goroutines)/many, 100*float64(later-cpu)/float64(idle))
		time.Sleep(2 * time.Second)
	}
	return nil
}

// weigh returns the resident memory, what is used of heap and stacks, and the
// number of goroutines.
func (b *bench) weigh(ctx context.Context) (resident, used int64, goroutines int, err error) {
	if resident, err = b.ks.memory(); err != nil {
		return 0, 0, 0, err
	}
	for line := range strings.SplitSeq(string(get(ctx, b.ks.address+"/metrics", b.admin).body), "\n") {
		name, value, _ := strings.Cut(line, " ")
		switch name {
		case "go_memstats_heap_inuse_bytes", "go_memstats_stack_inuse_bytes":
			f, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return 0, 0, 0, err
			}
			used += int64(f)
		case "go_goroutines":
			if goroutines, err = strconv.Atoi(value); err != nil {
				return 0, 0, 0, err
			}
		}
	}
	return resident, used, goroutines, nil
}

// certificate makes one for loopback and returns flags that use it, and the
// address they make the server listen on.
func certificate(ctx context.Context) (flags []string, address string, err error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, "", err
	}
	certificate, key, err := cert.GenerateSelfSignedCertKey("127.0.0.1", []net.IP{net.IPv4(127, 0, 0, 1)}, nil)
	if err != nil {
		return nil, "", err
	}
	for name, content := range map[string][]byte{"tls.crt": certificate, "tls.key": key} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return nil, "", err
		}
	}
	var ports [2]string
	for n := range ports {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, "", err
		}
		defer func() { _ = listener.Close() }()
		_, ports[n], _ = net.SplitHostPort(listener.Addr().String())
	}
	return []string{
		"--insecure-port", ports[0], "--secure-port", ports[1],
		"--tls-cert-file", filepath.Join(dir, "tls.crt"), "--tls-private-key", filepath.Join(dir, "tls.key"),
	}, "https://127.0.0.1:" + ports[1], nil
}

func fastest(all []figures) figures {
	best := all[0]
	for _, f := range all {
		if f.rate > best.rate {
			best = f
		}
	}
	return best
}

func middle(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

func micro(d time.Duration) string { return d.Round(time.Microsecond).String() }
