package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
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
		as, err := b.cluster.deployed(ctx)
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
	measured, bare := make(map[string]figures), make(map[string]figures)
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
		{name: "unchanged (304)", path: fixed(page), tag: true},
		{name: "pods?limit=100", path: fixed(page100)},
		{name: "pods?limit=100, unchanged (304)", path: fixed(page100), tag: true},
		{name: "all pods", path: fixed(whole)},
		{name: "all pods, unchanged (304)", path: fixed(whole), tag: true},
	} {
		var err error
		if measured[w.name], bare[w.name], err = b.compare(ctx, w); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
	}
	fmt.Println()
	for _, pair := range [][2]string{{"unchanged (304)", "pods?limit=10&sortBy=createTime"}, {"pods?limit=100, unchanged (304)", "pods?limit=100"}, {"all pods, unchanged (304)", "all pods"}} {
		ratio := func(of map[string]figures) float64 { return float64(of[pair[0]].cpu) / float64(of[pair[1]].cpu) }
		fmt.Printf("unchanged (304) / %s (200): CPU %.3f of 0.60; the bare server's own %.3f\n", pair[1], ratio(measured), ratio(bare))
	}
	return nil
}

// compare measures a workload and a bare server that sends what was answered.
func (b *bench) compare(ctx context.Context, w workload) (ours, theirs figures, err error) {
	request := request{token: map[caller]string{admin: b.admin, nobody: b.nobody}[w.as]}
	answer := get(ctx, b.ks.address+w.path(1), request.token)
	if w.tag {
		request.tag = answer.header.Get("ETag")
		answer.code, answer.body = http.StatusNotModified, nil
		answer.header.Del("Content-Length")
		answer.header.Del("Content-Type")
	}
	file := filepath.Join(os.TempDir(), fmt.Sprintf("bench-%d.json", os.Getpid()))
	defer func() { _ = os.Remove(file) }()
	answer.header.Del("Date")
	encoded, err := json.Marshal(recorded{Code: answer.code, Header: answer.header, Body: answer.body})
	if err != nil {
		return ours, theirs, err
	}
	if err := os.WriteFile(file, encoded, 0o600); err != nil {
		return ours, theirs, err
	}
	self, err := os.Executable()
	if err != nil {
		return ours, theirs, err
	}
	bare, err := start(ctx, nil, self, "--bare", file)
	if err != nil {
		return ours, theirs, err
	}
	defer bare.stop()
	// In turn, so that a machine that gets slower does so for both.
	var all, bares []figures
	for range 3 {
		for _, pair := range []struct {
			server *process
			into   *[]figures
		}{{b.ks, &all}, {bare, &bares}} {
			f, err := b.load(ctx, pair.server, request, answer.code, w.path)
			if err != nil {
				return ours, theirs, err
			}
			*pair.into = append(*pair.into, f)
		}
	}
	a, c := median(all), median(bares)
	fmt.Printf("%-34s %9.0f %11s %9s %9s   %9.0f %11s   %.2f\n", w.name, a.rate, a.cpu.Round(100*time.Nanosecond), a.p50.Round(time.Microsecond), a.p99.Round(time.Microsecond),
		c.rate, c.cpu.Round(100*time.Nanosecond), float64(a.cpu)/float64(c.cpu))
	return a, c, nil
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
