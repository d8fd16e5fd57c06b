package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// onePage measures a page, to compare clusters of different sizes.
func (b *bench) onePage(ctx context.Context) error {
	var all []figures
	for range 5 {
		f, err := b.load(ctx, b.ks, request{token: b.admin}, http.StatusOK, fixed(page))
		if err != nil {
			return err
		}
		all = append(all, f)
	}
	got := median(all)
	fmt.Printf("pods?limit=10&sortBy=createTime: %.0f req/s, %s CPU/request, p50 %s\n", got.rate, got.cpu.Round(100*time.Nanosecond), got.p50.Round(time.Microsecond))
	if b.save != "" {
		return os.WriteFile(b.save, []byte(strconv.FormatFloat(float64(got.cpu), 'f', 0, 64)+" "+strconv.FormatFloat(got.rate, 'f', 0, 64)+" "+strconv.Itoa(b.pods)), 0o600)
	}
	if b.against != "" {
		var cpu, rate float64
		var pods int
		earlier, err := os.ReadFile(b.against)
		if err != nil {
			return err
		}
		if _, err := fmt.Sscan(string(earlier), &cpu, &rate, &pods); err != nil {
			return err
		}
		fmt.Printf("over %d pods / over %d pods: rate %.2f, by CPU %.2f (at least 0.80)\n", b.pods, pods, got.rate/rate, cpu/float64(got.cpu))
	}
	return nil
}

// wholeList compares the list of all pods with kube-apiserver's own, from its
// cache, which is its fastest.
func (b *bench) wholeList(ctx context.Context) error {
	const times = 7
	var ours, theirs, first []time.Duration
	for range times {
		began := time.Now()
		byte1, bytes, err := download(ctx, http.DefaultClient, b.ks.address+whole, b.admin)
		if err != nil {
			return err
		}
		ours, first = append(ours, time.Since(began)), append(first, byte1)
		began = time.Now()
		_, more, err := download(ctx, b.cluster.http, b.cluster.address+"/api/v1/pods?resourceVersion=0", "")
		if err != nil {
			return err
		}
		theirs = append(theirs, time.Since(began))
		if bytes == 0 || more == 0 {
			return fmt.Errorf("%d and %d bytes", bytes, more)
		}
	}
	for _, all := range [][]time.Duration{ours, theirs, first} {
		slices.Sort(all)
	}
	fmt.Printf("all pods: %s, first byte after %s (at most 20ms); kube-apiserver %s: %.1f times faster (at least 5)\n", ours[times/2].Round(time.Millisecond/10),
		first[times/2].Round(time.Millisecond/10), theirs[times/2].Round(time.Millisecond), float64(theirs[times/2])/float64(ours[times/2]))
	return nil
}

// download reads a body and says when it began. It is not compressed: both
// would compress in the same way.
func download(ctx context.Context, client *http.Client, address, token string) (first time.Duration, bytes int64, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, 0, err
	}
	r.Header.Set("Accept-Encoding", "identity")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	began := time.Now()
	response, err := client.Do(r)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = response.Body.Close() }()
	body := bufio.NewReaderSize(response.Body, 1<<20)
	_, err = body.Peek(1)
	first = time.Since(began)
	if err == nil {
		bytes, err = io.Copy(io.Discard, body)
	}
	if response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", address, response.Status)
	}
	return first, bytes, err
}

// whileUpdated compares the page while pods change with the page in silence.
// Kubernetes and the process that changes pods have a processor of their own, as
// in separate: a system call of theirs may keep one for milliseconds.
func (b *bench) whileUpdated(ctx context.Context) error {
	const rate = 200
	together, err := separate(os.Getppid(), b.ks.command.Process.Pid)
	if err != nil {
		return err
	}
	defer together()
	quiet, err := b.paced(ctx)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	updates := exec.CommandContext(ctx, self, "--update", strconv.Itoa(rate)) //nolint:gosec // this program
	updates.Stderr = os.Stderr
	var printed strings.Builder
	updates.Stdout = &printed
	if err := updates.Start(); err != nil {
		return err
	}
	if err := pin(updates.Process.Pid, 0); err != nil {
		return errors.Join(err, updates.Process.Kill(), updates.Wait())
	}
	time.Sleep(500 * time.Millisecond)
	busy, err := b.paced(ctx)
	if stopped := errors.Join(updates.Process.Signal(os.Interrupt), updates.Wait()); err == nil {
		err = stopped
	}
	if err != nil {
		return err
	}
	reached, err := strconv.ParseFloat(strings.TrimSpace(printed.String()), 64)
	if err != nil {
		return err
	}
	fmt.Printf("page while %.0f pods/s change: p99 %s, in silence %s: %.2f (at most 3); CPU/request %s, in silence %s\n", reached,
		busy.p99.Round(time.Microsecond), quiet.p99.Round(time.Microsecond), float64(busy.p99)/float64(quiet.p99), busy.cpu.Round(time.Microsecond), quiet.cpu.Round(time.Microsecond))
	return nil
}

// changePods changes pods until it is interrupted, and prints how many a second.
func changePods(ctx context.Context, rate int) error {
	c, err := connect()
	if err != nil {
		return err
	}
	reached, err := c.update(ctx, rate)
	if err != nil {
		return err
	}
	_, err = fmt.Println(reached)
	return err
}

// pace is how often each client asks while pods change. Clients that ask as fast
// as they can leave no processor to whoever changes pods, on a small machine.
const pace = 50 * time.Millisecond

// paced asks for the page now and then over all connections.
func (b *bench) paced(ctx context.Context) (figures, error) {
	path := func(int64) string {
		time.Sleep(time.Duration(float64(pace) * (0.5 + rand.Float64()))) //nolint:gosec // spread, not kept secret
		return page
	}
	slow := *b
	slow.seconds *= 5 // for a 99th percentile that means something
	return slow.load(ctx, b.ks, request{token: b.admin}, http.StatusOK, path)
}

// watchers lets many clients watch, change pods, and looks for what is left.
func (b *bench) watchers(ctx context.Context) error {
	const many, changes = 500, 100
	before, err := b.ks.goroutines(ctx, b.admin)
	if err != nil {
		return err
	}
	pods, err := b.cluster.settled(ctx, 10)
	if err != nil {
		return err
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	transport := &http.Transport{}
	var connected, finished sync.WaitGroup
	var complete atomic.Int64
	failed := make(chan error, many)
	connected.Add(many)
	for range many {
		finished.Go(func() {
			seen, err := follow(watching, transport, b.ks.address+viewer+"/pods?watch=true&label=devcluster/static&names="+pods[0].Name, b.admin, &connected, changes)
			if err != nil {
				failed <- fmt.Errorf("after %d changes: %w", seen, err)
				return
			}
			complete.Add(1)
		})
	}
	connected.Wait()
	began := time.Now()
	for n := range changes {
		if err := b.cluster.touch(ctx, &pods[0], int(began.UnixNano())+n); err != nil {
			return err
		}
	}
	told := make(chan struct{})
	go func() { finished.Wait(); close(told) }()
	select {
	case <-told:
	case <-time.After(time.Minute):
	}
	took := time.Since(began)
	stop()
	<-told
	transport.CloseIdleConnections()
	left := 0
	for range 50 {
		after, err := b.ks.goroutines(ctx, b.admin)
		if err != nil {
			return err
		}
		if left = after - before; left <= 5 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	fmt.Printf("%d watchers, %d changes: %d saw all of them within %s; %d goroutines left\n", many, changes, complete.Load(), took.Round(10*time.Millisecond), max(0, left))
	select {
	case err := <-failed:
		return fmt.Errorf("a watch lost changes: %w", err)
	default:
	}
	if left > 5 {
		return fmt.Errorf("watches left something behind")
	}
	return nil
}

// follow counts the changes a watch tells, up to a number.
func follow(ctx context.Context, transport *http.Transport, address, token string, connected *sync.WaitGroup, changes int) (int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		connected.Done()
		return 0, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	response, err := transport.RoundTrip(r)
	if err != nil {
		connected.Done()
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	decoder, once := json.NewDecoder(response.Body), sync.Once{}
	for seen := 0; seen < changes; {
		var event struct{ Type string }
		if err := decoder.Decode(&event); err != nil {
			once.Do(connected.Done)
			return seen, err
		}
		once.Do(connected.Done) // the first event is the pod as it was
		if event.Type == "MODIFIED" {
			seen++
		}
	}
	return changes, nil
}

// goroutines is how many the server has.
func (p *process) goroutines(ctx context.Context, token string) (int, error) {
	for line := range strings.SplitSeq(string(get(ctx, p.address+"/metrics", token).body), "\n") {
		if count, found := strings.CutPrefix(line, "go_goroutines "); found {
			return strconv.Atoi(count)
		}
	}
	return 0, fmt.Errorf("/metrics has no go_goroutines")
}

// grow adds pods and sees what each costs in memory.
func (b *bench) grow(ctx context.Context) error {
	if b.options.grow == 0 {
		return nil
	}
	bytes, memory, err := b.size(ctx)
	if err != nil {
		return err
	}
	wanted := b.pods + b.options.grow
	if err := b.cluster.add(ctx, b.options.grow); err != nil {
		return err
	}
	for total := 0; total < wanted; {
		if total, err = b.total(ctx); err != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
	moreBytes, moreMemory, err := b.size(ctx)
	if err != nil {
		return err
	}
	grown, json := float64(moreMemory-memory)/float64(b.options.grow), float64(moreBytes-bytes)/float64(b.options.grow)
	fmt.Printf("from %d to %d pods: %.0f bytes resident per pod of %.0f bytes of JSON: %.2f (at most 1.50)\n", b.pods, wanted, grown, json, grown/json)
	return nil
}

// size is the size of all pods in JSON and the resident memory of the server,
// after it has been asked for pages for a while and then left alone for a
// minute.
func (b *bench) size(ctx context.Context) (bytes, memory int64, err error) {
	for range 3 {
		if _, err := b.load(ctx, b.ks, request{token: b.admin}, http.StatusOK, fixed(page)); err != nil {
			return 0, 0, err
		}
	}
	if _, bytes, err = download(ctx, http.DefaultClient, b.ks.address+whole, b.admin); err != nil {
		return 0, 0, err
	}
	time.Sleep(time.Minute)
	memory, err = b.ks.memory()
	return bytes, memory, err
}
