package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const viewer = "/kapis/resources.kubesphere.io/v1alpha3"

// workload is one kind of request.
type workload struct {
	name string
	path func(n int64) string
	// as is whose token is sent: admin's, that of a user without rights, or none.
	as caller
	// tag asks for the list only if it has changed.
	tag bool
}

type caller int

const (
	admin caller = iota
	nobody
	anyone
)

func fixed(path string) func(int64) string { return func(int64) string { return path } }

// figures are what a measurement gives.
type figures struct {
	rate     float64       // requests per second
	cpu      time.Duration // of the server, per request
	p50, p99 time.Duration
	requests int
}

const (
	page    = viewer + "/pods?limit=10&sortBy=createTime"
	page100 = viewer + "/pods?limit=100&sortBy=createTime"
	whole   = viewer + "/pods?limit=-1"
)

// bench is a server that is measured.
type bench struct {
	options
	ks            *process
	secure        string // its address over TLS
	admin, nobody string // tokens
	pods          int
	cluster       *cluster
}

func measure(ctx context.Context, o options) error {
	b := &bench{options: o}
	var err error
	if b.cluster, err = connect(); err != nil {
		return err
	}
	flags, secure, err := certificate(ctx)
	if err != nil {
		return err
	}
	b.secure = secure
	if o.proxy {
		if err := b.cluster.bind(ctx, o.bindings); err != nil {
			return err
		}
		as, err := deployed(ctx)
		if err != nil {
			return err
		}
		flags = append(flags, as...)
	}
	b.ks, err = start(ctx, []string{"KUBESPHERE_ADMIN_PASSWORD=P@88w0rd"}, o.server, append([]string{"--bind-address", "127.0.0.1"}, flags...)...)
	if err != nil {
		return err
	}
	defer b.ks.stop()
	if err := yield(); err != nil {
		return err
	}
	began := time.Now()
	for get(ctx, b.ks.address+"/readyz", "").code != http.StatusOK {
		if time.Since(began) > 5*time.Minute {
			return fmt.Errorf("%s does not become ready", o.server)
		}
		time.Sleep(20 * time.Millisecond)
	}
	ready := time.Since(began)
	if b.admin, err = login(ctx, b.ks.address, "admin", "P@88w0rd"); err != nil {
		return err
	}
	if b.nobody, err = b.userWithoutRights(ctx); err != nil {
		return err
	}
	if b.pods, err = b.total(ctx); err != nil {
		return err
	}
	memory, err := b.ks.memory()
	if err != nil {
		return err
	}
	fmt.Printf("\n%d pods, %d connections; ready after %s, %d MiB resident\n\n", b.pods, o.connections, ready.Round(10*time.Millisecond), memory>>20)
	switch {
	case o.only:
		return b.onePage(ctx)
	case o.proxy:
		return b.proxied(ctx)
	}
	for _, part := range []struct {
		name    string
		measure func(context.Context) error
	}{
		{"requests", b.requests}, {"list", b.wholeList}, {"logins", b.whileLogins}, {"updates", b.whileUpdated}, {"watchers", b.watchers}, {"grow", b.grow},
	} {
		if o.parts != "" && !slices.Contains(strings.Split(o.parts, ","), part.name) {
			continue
		}
		if err := part.measure(ctx); err != nil {
			return err
		}
	}
	return nil
}

// total is the number of pods there are.
func (b *bench) total(ctx context.Context) (int, error) {
	var total struct{ TotalItems int }
	err := json.Unmarshal(get(ctx, b.ks.address+viewer+"/pods?limit=0", b.admin).body, &total)
	return total.TotalItems, err
}

// requests compares requests with a bare server that sends the same bytes.
func (b *bench) requests(ctx context.Context) error {
	fmt.Printf("%-34s %9s %11s %9s %9s   %9s %11s   %s\n", "", "req/s", "CPU/request", "p50", "p99", "bare", "CPU/request", "CPU ratio")
	for _, w := range []workload{
		{name: "pods?limit=10&sortBy=createTime", path: fixed(page)},
		{name: "pods, any page", path: func(n int64) string {
			return fmt.Sprintf("%s/pods?limit=10&page=%d", viewer, 1+n*7919%int64(max(1, b.pods/10)))
		}},
		{name: "nodes?limit=10", path: fixed(viewer + "/nodes?limit=10")},
		{name: "pods?name=… (changing)", path: func(n int64) string { return fmt.Sprintf("%s/pods?limit=10&name=%d", viewer, n) }},
		{name: "one object", path: fixed(viewer + "/namespaces/kube-system")},
		{name: "not allowed (403)", path: fixed(viewer + "/nodes"), as: nobody},
		{name: "no token (401)", path: fixed(viewer + "/nodes"), as: anyone},
		{name: "pods?limit=100", path: fixed(page100)},
	} {
		if _, err := b.compare(ctx, w); err != nil {
			return err
		}
	}
	// What an unchanged list costs is compared with the list in the same minute.
	var ratios []string
	for _, w := range []workload{
		{name: "pods?limit=10&sortBy=createTime", path: fixed(page)},
		{name: "pods?limit=30", path: fixed(viewer + "/pods?limit=30&sortBy=createTime")},
		{name: "pods?limit=100", path: fixed(page100)},
		{name: "all pods", path: fixed(whole)},
	} {
		again := w
		again.tag, again.name = true, "  unchanged (304)"
		all, err := b.compare(ctx, w, again)
		if err != nil {
			return err
		}
		ratios = append(ratios, fmt.Sprintf("unchanged (304) / %s (200): CPU %.3f of 0.60; the bare server's own %.3f", w.name,
			float64(all[1].ours.cpu)/float64(all[0].ours.cpu), float64(all[1].bare.cpu)/float64(all[0].bare.cpu)))
	}
	fmt.Printf("\n%s\n", strings.Join(ratios, "\n"))
	return nil
}

// compared are the figures of the server and of a bare one.
type compared struct{ ours, bare figures }

// compare measures workloads, and for each a bare server that sends what was
// answered. They take turns, so that a machine that gets slower does so for all.
func (b *bench) compare(ctx context.Context, workloads ...workload) ([]compared, error) {
	const rounds = 3
	all, requests, codes, bares := make([][2][]figures, len(workloads)), make([]request, len(workloads)), make([]int, len(workloads)), make([]*process, len(workloads))
	for n, w := range workloads {
		requests[n] = request{token: map[caller]string{admin: b.admin, nobody: b.nobody}[w.as]}
		answer := get(ctx, b.ks.address+w.path(1), requests[n].token)
		if w.tag {
			requests[n].tag = answer.header.Get("ETag")
			answer.code, answer.body = http.StatusNotModified, nil
			answer.header.Del("Content-Length")
			answer.header.Del("Content-Type")
		}
		codes[n] = answer.code
		bare, err := startBare(ctx, answer)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", w.name, err)
		}
		defer bare.stop()
		bares[n] = bare
	}
	for range rounds {
		for n, w := range workloads {
			for side, server := range []*process{b.ks, bares[n]} {
				f, err := b.load(ctx, server, requests[n], codes[n], w.path)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", w.name, err)
				}
				all[n][side] = append(all[n][side], f)
			}
		}
	}
	result := make([]compared, len(workloads))
	for n, w := range workloads {
		a, c := median(all[n][0]), median(all[n][1])
		result[n] = compared{a, c}
		fmt.Printf("%-34s %9.0f %11s %9s %9s   %9.0f %11s   %.2f\n", w.name, a.rate, a.cpu.Round(100*time.Nanosecond), a.p50.Round(time.Microsecond), a.p99.Round(time.Microsecond),
			c.rate, c.cpu.Round(100*time.Nanosecond), float64(a.cpu)/float64(c.cpu))
	}
	return result, nil
}

// startBare starts a bare server that sends an answer.
func startBare(ctx context.Context, answer reply) (*process, error) {
	file, err := os.CreateTemp("", "bench-*.json")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(file.Name()) }() // it has been read when the server answers
	answer.header.Del("Date")
	encoded, err := json.Marshal(recorded{Code: answer.code, Header: answer.header, Body: answer.body})
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	_, err = file.Write(encoded)
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return start(ctx, nil, self, "--bare", file.Name())
}

func median(all []figures) figures {
	slices.SortFunc(all, func(a, b figures) int { return int(a.cpu - b.cpu) })
	return all[len(all)/2]
}

// load sends requests over a number of connections for a time.
func (b *bench) load(ctx context.Context, server *process, request request, code int, path func(int64) string) (figures, error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: b.connections, DisableCompression: true}}
	defer client.CloseIdleConnections()
	return b.run(ctx, client, server, request, code, func(n int64) string { return server.address + path(n) })
}

// run does so with a client, and takes the processor time of a server.
func (b *bench) run(ctx context.Context, client *http.Client, server *process, request request, code int, address func(int64) string) (figures, error) {
	length, connections := time.Duration(b.seconds*float64(time.Second)), b.connections
	before, err := server.cpu()
	if err != nil {
		return figures{}, err
	}
	var requests, wrong atomic.Int64
	times := make([][]time.Duration, connections)
	began := time.Now()
	var running sync.WaitGroup
	for c := range connections {
		running.Go(func() {
			for time.Since(began) < length && ctx.Err() == nil {
				where := address(requests.Add(1))
				at := time.Now()
				got, err := fetch(ctx, client, where, request)
				if err != nil || got != code {
					wrong.Add(1)
				}
				times[c] = append(times[c], time.Since(at))
			}
		})
	}
	running.Wait()
	took := time.Since(began)
	after, err := server.cpu()
	if err != nil {
		return figures{}, err
	}
	if wrong.Load() > 0 {
		return figures{}, fmt.Errorf("%d of %d requests were not answered with %d", wrong.Load(), requests.Load(), code)
	}
	all := slices.Concat(times...)
	slices.Sort(all)
	return figures{
		rate: float64(len(all)) / took.Seconds(), cpu: (after - before) / time.Duration(len(all)),
		p50: all[len(all)/2], p99: all[len(all)*99/100], requests: len(all),
	}, nil
}
