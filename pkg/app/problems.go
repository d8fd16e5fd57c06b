package app

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity/providers"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/oauthclient"
)

// annotationProblem says on a Secret what is wrong with the object in it.
const annotationProblem = "config.kubesphere.io/problem"

// problemsEvery is how often the objects are looked at.
const problemsEvery = 15 * time.Second

// problemReporter reports what is wrong with OAuth clients and identity providers:
// in the log, on their Secrets, and beside the conditions for being ready. Otherwise
// it would come out when somebody uses them.
type problemReporter struct {
	// sources find problems by the label of the Secrets they read.
	sources map[string]problemSource
	client  client.Client

	mu    sync.Mutex
	known []config.Problem
}

// problemSource returns the problems of one kind of object.
type problemSource func(ctx context.Context) ([]config.Problem, error)

// Run looks at the objects until the context ends.
func (p *problemReporter) Run(ctx context.Context) {
	ticker := time.NewTicker(problemsEvery)
	defer ticker.Stop()
	for {
		if err := p.report(kube.AsServer(ctx)); err != nil && ctx.Err() == nil {
			slog.DebugContext(ctx, "problems of OAuth clients and identity providers cannot be reported", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// report finds the problems there are now, and annotates the Secrets that changed.
func (p *problemReporter) report(ctx context.Context) error {
	var all []config.Problem
	var failed []error
	for label, source := range p.sources {
		found, err := source(ctx)
		if err == nil {
			err = p.annotate(ctx, label, found)
			all = append(all, found...)
		}
		failed = append(failed, err)
	}
	slices.SortFunc(all, func(a, b config.Problem) int { return strings.Compare(a.String(), b.String()) })
	p.mu.Lock()
	before := p.known
	p.known = all
	p.mu.Unlock()
	for _, problem := range all {
		if !slices.Contains(before, problem) {
			slog.WarnContext(ctx, "Invalid configuration object", "object", problem.Name, "secret", problem.Secret, "problem", problem.Text)
		}
	}
	return errors.Join(failed...)
}

// annotate writes the problems on the Secrets with a label, and removes those that
// are solved.
func (p *problemReporter) annotate(ctx context.Context, label string, problems []config.Problem) error {
	texts := make(map[string]string)
	for _, problem := range problems {
		if problem.Secret == "" {
			continue
		}
		if texts[problem.Secret] != "" {
			texts[problem.Secret] += "; "
		}
		texts[problem.Secret] += problem.Text
	}
	secrets := &corev1.SecretList{}
	if err := p.client.List(ctx, secrets, client.InNamespace(kube.Namespace), client.MatchingLabels{providers.Label: label}); err != nil {
		return err
	}
	var failed []error
	for n := range secrets.Items {
		secret := &secrets.Items[n]
		if secret.Annotations[annotationProblem] == texts[secret.Name] {
			continue
		}
		var value any // null removes it
		if text := texts[secret.Name]; text != "" {
			value = text
		}
		patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]any{annotationProblem: value}}})
		if err != nil {
			return err
		}
		failed = append(failed, client.IgnoreNotFound(p.client.Patch(ctx, secret, client.RawPatch("application/merge-patch+json", patch))))
	}
	return errors.Join(failed...)
}

// Detail names the problems, for /readyz. They do not keep the server from being
// ready: all other clients and providers work.
func (p *problemReporter) Detail() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	texts := make([]string, 0, len(p.known))
	for _, problem := range p.known {
		texts = append(texts, problem.String())
	}
	return strings.Join(texts, "; ")
}

// newProblemReporter reports on the objects that clients and providers are made of.
func newProblemReporter(c client.Client, clients *oauthclient.Clients, set *providers.Set) *problemReporter {
	return &problemReporter{client: c, sources: map[string]problemSource{
		oauthclient.LabelValue: clients.Problems, providers.LabelValue: set.Problems,
	}}
}
