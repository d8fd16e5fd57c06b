package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
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
	// token is empty for a caller without rights.
	anyone bool
}

func fixed(path string) func(int64) string { return func(int64) string { return path } }

// figures are what a measurement gives.
type figures struct {
	rate     float64       // requests per second
	cpu      time.Duration // of the server, per request
	p50, p99 time.Duration
}

func measure(ctx context.Context, binary string, length time.Duration, connections int) error {
	ks, err := start(ctx, []string{"KUBESPHERE_ADMIN_PASSWORD=P@88w0rd"}, binary, "--bind-address", "127.0.0.1", "--insecure-port", "0")
	if err != nil {
		return err
	}
	defer ks.stop()
	began := time.Now()
	for get(ctx, ks.address+"/readyz", "").code != http.StatusOK {
		if time.Since(began) > 5*time.Minute {
			return fmt.Errorf("%s does not become ready", binary)
		}
		time.Sleep(20 * time.Millisecond)
	}
	ready := time.Since(began)
	token, err := login(ctx, ks.address)
	if err != nil {
		return err
	}
	var total struct{ TotalItems int }
	if err := json.Unmarshal(get(ctx, ks.address+viewer+"/pods?limit=0", token).body, &total); err != nil {
		return err
	}
	memory, err := ks.memory()
	if err != nil {
		return err
	}
	fmt.Printf("%d pods, %d connections; ready after %s, %d MiB resident\n\n", total.TotalItems, connections, ready.Round(10*time.Millisecond), memory>>20)
	fmt.Printf("%-34s %9s %11s %9s %9s   %9s %11s   %s\n", "", "req/s", "CPU/request", "p50", "p99", "bare", "CPU/request", "CPU ratio")
	for _, w := range []workload{
		{name: "pods?limit=10&sortBy=createTime", path: fixed(viewer + "/pods?limit=10&sortBy=createTime")},
		{name: "pods, any page", path: func(n int64) string {
			return fmt.Sprintf("%s/pods?limit=10&page=%d", viewer, 1+n*7919%int64(max(1, total.TotalItems/10)))
		}},
		{name: "nodes?limit=10", path: fixed(viewer + "/nodes?limit=10")},
		{name: "pods?name=… (changing)", path: func(n int64) string { return fmt.Sprintf("%s/pods?limit=10&name=%d", viewer, n) }},
		{name: "one object", path: fixed(viewer + "/namespaces/kube-system")},
		{name: "no token (401)", path: fixed(viewer + "/nodes"), anyone: true},
		{name: "all pods", path: fixed(viewer + "/pods?limit=-1")},
	} {
		if err := compare(ctx, ks, token, w, length, connections); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
	}
	return nil
}

// compare measures a workload and a bare server that sends what was answered.
func compare(ctx context.Context, ks *process, token string, w workload, length time.Duration, connections int) error {
	if w.anyone {
		token = ""
	}
	answer := get(ctx, ks.address+w.path(1), token)
	file := filepath.Join(os.TempDir(), fmt.Sprintf("bench-%d.json", os.Getpid()))
	defer func() { _ = os.Remove(file) }()
	answer.header.Del("Date")
	encoded, err := json.Marshal(recorded{Code: answer.code, Header: answer.header, Body: answer.body})
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, encoded, 0o600); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	bare, err := start(ctx, nil, self, "--bare", file)
	if err != nil {
		return err
	}
	defer bare.stop()
	// In turn, so that a machine that gets slower does so for both.
	var ours, theirs []figures
	for range 3 {
		for _, pair := range []struct {
			server *process
			into   *[]figures
		}{{ks, &ours}, {bare, &theirs}} {
			f, err := load(ctx, pair.server, token, answer.code, w.path, length, connections)
			if err != nil {
				return err
			}
			*pair.into = append(*pair.into, f)
		}
	}
	a, b := median(ours), median(theirs)
	fmt.Printf("%-34s %9.0f %11s %9s %9s   %9.0f %11s   %.2f\n", w.name, a.rate, a.cpu.Round(100*time.Nanosecond), a.p50.Round(time.Microsecond), a.p99.Round(time.Microsecond),
		b.rate, b.cpu.Round(100*time.Nanosecond), float64(a.cpu)/float64(b.cpu))
	return nil
}

func median(all []figures) figures {
	slices.SortFunc(all, func(a, b figures) int { return int(a.cpu - b.cpu) })
	return all[len(all)/2]
}

// load sends requests over a number of connections for a time.
func load(ctx context.Context, server *process, token string, code int, path func(int64) string, length time.Duration, connections int) (figures, error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections, DisableCompression: true}}
	defer client.CloseIdleConnections()
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
				at := time.Now()
				got, err := fetch(ctx, client, server.address+path(requests.Add(1)), token)
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
		p50: all[len(all)/2], p99: all[len(all)*99/100],
	}, nil
}

func fetch(ctx context.Context, client *http.Client, address, token string) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

type reply struct {
	code   int
	header http.Header
	body   []byte
}

func get(ctx context.Context, address, token string) reply {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return reply{}
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return reply{}
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return reply{}
	}
	return reply{response.StatusCode, response.Header, body}
}

func login(ctx context.Context, address string) (string, error) {
	form := url.Values{"grant_type": {"password"}, "username": {"admin"}, "password": {"P@88w0rd"}, "client_id": {"kubesphere"}, "client_secret": {"kubesphere"}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address+"/oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct {
		AccessToken string `json:"access_token"`
		Error       string `json:"error_description"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return "", err
	}
	if answer.AccessToken == "" {
		return "", fmt.Errorf("login: %d %s", response.StatusCode, answer.Error)
	}
	return answer.AccessToken, nil
}
