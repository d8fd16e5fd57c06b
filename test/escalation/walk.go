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
	"time"
)

// Options say how a walk goes.
type Options struct {
	Target Target
	// Seed is what the requests follow from.
	Seed uint64
	// Requests and Duration bound the walk; 0 is no bound, but one of them is needed.
	Requests int
	Duration time.Duration
	// CheckEvery is after how many requests states and rights are compared; 0 for 250.
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
		options.CheckEvery = 250
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
	g := newGenerator(w, options.Seed)
	started := time.Now()
	done := func() bool {
		return ctx.Err() != nil || options.Requests > 0 && report.Requests >= options.Requests || options.Duration > 0 && time.Since(started) >= options.Duration
	}
	var succeeded []string // since rights were compared
	for check := 1; !done() && len(report.Violations) == 0; check++ {
		for range options.CheckEvery {
			s := g.next()
			code, text := w.send(ctx, &s)
			report.Requests++
			report.Answers[code]++
			line := fmt.Sprintf("%s: %s: %d", w.subjects[s.subject].name, &s, code)
			if code >= 100 && code < 300 && s.method != http.MethodGet {
				succeeded = append(succeeded, line)
			}
			if code == http.StatusInternalServerError && !strings.Contains(string(text), failedToApply) {
				report.Failures = append(report.Failures, fmt.Sprintf("%s %.300s", line, text))
			}
			if places := w.seen(text); len(places) > 0 {
				report.Violations = append(report.Violations, Violation{What: "an answer has secrets of " + strings.Join(places, ", "), Requests: []string{line}})
			}
		}
		after, err := w.observe(ctx)
		if err != nil {
			return report, err
		}
		for _, change := range changes(before, after) {
			report.Violations = append(report.Violations, Violation{What: change, Requests: succeeded})
		}
		// Rights take hundreds of requests to compare, and stay gained.
		if check%rightsEvery == 0 || done() {
			held, err := w.held(ctx)
			if err != nil {
				return report, err
			}
			for _, gained := range slices.Sorted(maps.Keys(held)) {
				if !rights[gained] {
					report.Violations = append(report.Violations, Violation{What: "a right: " + gained, Requests: succeeded})
				}
			}
			succeeded = nil
		}
		if len(report.Violations) > 0 {
			break
		}
		// What the walk deleted of its own world is made again.
		if err := w.repair(ctx); err != nil {
			return report, err
		}
		if before, err = w.observe(ctx); err != nil {
			return report, err
		}
	}
	return report, ctx.Err()
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

// send sends a request and returns the status code, 0 without an answer, and the text.
func (w *world) send(ctx context.Context, s *step) (int, []byte) {
	address, err := url.Parse(w.target.URL)
	if err != nil {
		return 0, nil
	}
	path, query, _ := strings.Cut(s.target, "?")
	address.Path, address.RawQuery = "", query
	address.Opaque = "//" + address.Host + path // as it is, not cleaned
	ctx, cancel := context.WithTimeout(ctx, 4*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, s.method, w.target.URL, bytes.NewReader(s.body))
	if err != nil {
		return 0, nil
	}
	request.URL = address
	for name, value := range s.headers {
		request.Header.Set(name, value)
	}
	request.Header.Set("Authorization", "Bearer "+w.subjects[s.subject].token)
	response, err := w.client.Do(request)
	if err != nil {
		return 0, nil
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(response.Body, maxAnswer)) // a part is looked through as well
	for name, values := range response.Header {
		text = append(text, (name + ": " + strings.Join(values, ", ") + "\n")...)
	}
	return response.StatusCode, text
}
