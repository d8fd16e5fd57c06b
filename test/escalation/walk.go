package escalation

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/super-kubenetes/ks-apiserver/pkg/jsonpatch"
)

// Options say how a walk goes.
type Options struct {
	Target Target
	// Seed is what the requests follow from.
	Seed uint64
	// Requests and Duration bound the walk; 0 is no bound, but one of them is needed.
	Requests int
	Duration time.Duration
	// CheckEvery is after how many requests states and rights are compared; 0 for 500.
	CheckEvery int
}

// Report is what a walk found.
type Report struct {
	Seed     uint64
	Requests int
	// Answers counts the requests by status code, 0 for those without an answer.
	Answers map[int]int
	// Violations are what no grant explains, with the requests that may be the cause.
	Violations []Violation
	// Failures are requests that were answered with 500, each with its answer.
	Failures []string
}

// Violation is something that no grant explains.
type Violation struct {
	What string
	// Requests are those that succeeded since the check before.
	Requests []string
}

func (v Violation) String() string {
	return v.What + "\n\t" + strings.Join(v.Requests, "\n\t")
}

// rightsEvery is after how many checks of the state rights are compared, too.
const rightsEvery = 4

// maxAnswer bounds how much of an answer is looked through.
const maxAnswer = 16 << 20

// failedToApply is what Kubernetes itself answers with 500: to an applied object with a field
// that its schema does not have.
const failedToApply = "failed to create typed patch object"

// Walk sends requests until a bound is reached, or something is found that no grant
// explains. It fails when the world cannot be made or looked at.
func Walk(ctx context.Context, options Options) (*Report, error) {
	if options.Requests == 0 && options.Duration == 0 {
		return nil, fmt.Errorf("a walk needs a bound")
	}
	if options.CheckEvery == 0 {
		options.CheckEvery = 500
	}
	w, err := newWorld(ctx, options.Target)
	if err != nil {
		return nil, err
	}
	before, rights, err := w.settled(ctx)
	if err != nil {
		return nil, err
	}
	report := &Report{Seed: options.Seed, Answers: make(map[int]int)}
	report.addRights(rights, nil) // those that roles give by themselves
	g := newGenerator(w, options.Seed)
	started := time.Now()
	done := func() bool {
		return ctx.Err() != nil || options.Requests > 0 && report.Requests >= options.Requests || options.Duration > 0 && time.Since(started) >= options.Duration
	}
	var succeeded []string // since rights were compared
	for check := 1; !done() && len(report.Violations) == 0; check++ {
		steps := make([]step, 0, options.CheckEvery)
		for range options.CheckEvery {
			steps = append(steps, g.next())
		}
		succeeded = append(succeeded, report.add(w, w.sendAll(ctx, steps))...)
		after, err := w.observe(ctx)
		if err != nil {
			return report, err
		}
		left, err := w.leftBehind(ctx, after)
		if err != nil {
			return report, err
		}
		for _, change := range append(changes(before, after), left...) {
			report.Violations = append(report.Violations, Violation{What: change, Requests: succeeded})
		}
		// Rights take hundreds of requests to compare, and stay gained.
		if check%rightsEvery == 0 || done() {
			held, err := w.held(ctx)
			if err != nil {
				return report, err
			}
			report.addRights(held, succeeded)
			succeeded = nil
		}
		if len(report.Violations) > 0 {
			break
		}
		// What the walk deleted of its own world is made again. Otherwise what reconcilers do
		// meanwhile is compared, too.
		before = after
		repaired, err := w.repair(ctx)
		if err != nil {
			return report, err
		}
		if !repaired {
			continue
		}
		if before, err = w.observe(ctx); err != nil {
			return report, err
		}
	}
	return report, ctx.Err()
}

// addRights reports rights that nobody may hold.
func (r *Report) addRights(held map[string]bool, requests []string) {
	for _, one := range slices.Sorted(maps.Keys(held)) {
		r.Violations = append(r.Violations, Violation{What: "a right: " + one, Requests: requests})
	}
}

// settled waits until nothing changes by itself, and returns the state and the rights held
// then.
func (w *world) settled(ctx context.Context) (state, map[string]bool, error) {
	last, err := w.observe(ctx)
	if err != nil {
		return nil, nil, err
	}
	for range 30 {
		select {
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-time.After(time.Second):
		}
		now, err := w.observe(ctx)
		if err != nil {
			return nil, nil, err
		}
		if maps.Equal(last, now) {
			rights, err := w.held(ctx)
			return now, rights, err
		}
		last = now
	}
	return nil, nil, fmt.Errorf("the world does not settle")
}

// answer is what a step was answered with: code is 0 without an answer.
type answer struct {
	step
	code int
	text []byte
}

// sendAll sends requests and returns their answers in the same order. The subjects act at
// the same time, each one request after another.
func (w *world) sendAll(ctx context.Context, steps []step) []answer {
	answers := make([]answer, len(steps))
	var group sync.WaitGroup
	for subject := range w.subjects {
		group.Go(func() {
			for n := range steps {
				if steps[n].subject == subject {
					code, text := w.send(ctx, &steps[n])
					answers[n] = answer{steps[n], code, text}
				}
			}
		})
	}
	group.Wait()
	return answers
}

// add counts answers, looks for secrets in them, and returns the requests that changed
// something.
func (r *Report) add(w *world, answers []answer) []string {
	var succeeded []string
	for n := range answers {
		one := &answers[n]
		r.Requests++
		r.Answers[one.code]++
		line := fmt.Sprintf("%s: %s: %d", w.subjects[one.subject].name, &one.step, one.code)
		if one.code >= 100 && one.code < 300 && one.method != http.MethodGet {
			succeeded = append(succeeded, line)
		}
		if one.code == http.StatusInternalServerError && !strings.Contains(string(one.text), failedToApply) {
			r.Failures = append(r.Failures, fmt.Sprintf("%s %.300s", line, one.text))
		}
		if places := w.seen(one.text); len(places) > 0 {
			r.Violations = append(r.Violations, Violation{What: "an answer has secrets of " + strings.Join(places, ", "), Requests: []string{line}})
		}
	}
	return succeeded
}

// merged is the body of a request on top of the object that the subject reads, or the body
// alone where there is none to read.
func (w *world) merged(ctx context.Context, s *step) []byte {
	path, _, _ := strings.Cut(s.target, "?")
	for _, subresource := range []string{"/finalize", "/status", "/scale"} {
		path = strings.TrimSuffix(path, subresource)
	}
	code, present, _ := w.do(ctx, &step{subject: s.subject, method: http.MethodGet, target: path})
	if code != http.StatusOK {
		return s.body
	}
	result, err := jsonpatch.Merge(present, s.body)
	if err != nil {
		return s.body
	}
	return result
}

// send sends a request and returns the status code, 0 without an answer, and all text of the
// answer.
func (w *world) send(ctx context.Context, s *step) (int, []byte) {
	if s.onto {
		s.body = w.merged(ctx, s)
	}
	code, text, header := w.do(ctx, s)
	for name, values := range header {
		text = append(text, ("\n" + name + ": " + strings.Join(values, ", "))...)
	}
	return code, text
}

// do sends a request and returns the status code, 0 without an answer, the body and the
// header.
func (w *world) do(ctx context.Context, s *step) (int, []byte, http.Header) {
	address, err := url.Parse(w.target.URL)
	if err != nil {
		return 0, nil, nil
	}
	path, query, _ := strings.Cut(s.target, "?")
	address.Path, address.RawQuery = "", query
	address.Opaque = "//" + address.Host + path // as it is, not cleaned
	ctx, cancel := context.WithTimeout(ctx, 4*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, s.method, w.target.URL, bytes.NewReader(s.body))
	if err != nil {
		return 0, nil, nil
	}
	request.URL = address
	for name, value := range s.headers {
		request.Header.Set(name, value)
	}
	request.Header.Set("Authorization", "Bearer "+w.subjects[s.subject].token)
	response, err := w.client.Do(request)
	if err != nil {
		return 0, nil, nil
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(response.Body, maxAnswer)) // a part is looked through as well
	return response.StatusCode, text, response.Header
}
