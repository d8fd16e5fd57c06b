//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/super-kubenetes/ks-apiserver/test/escalation"
)

// TestWalk: users of one workspace send requests at random and get no further than the
// rights they were given. ESCALATION_SEED repeats a walk, ESCALATION_DURATION makes it
// longer than the half minute it takes here.
func TestWalk(t *testing.T) {
	t.Parallel()
	i := ownCluster(t, "--nodes", "1") // it looks at everything
	applied := applyPolicies(i.kubeconfig)
	if applied != nil {
		t.Fatal(applied)
	}
	rest, err := clientcmd.BuildConfigFromFlags("", i.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	options := escalation.Options{
		Target: escalation.Target{URL: i.url, AdminPassword: adminPassword, Kubernetes: rest},
		Seed:   uint64(time.Now().UnixNano()), Duration: 30 * time.Second, //nolint:gosec // any number will do
	}
	if seed := os.Getenv("ESCALATION_SEED"); seed != "" {
		if options.Seed, err = strconv.ParseUint(seed, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	if duration := os.Getenv("ESCALATION_DURATION"); duration != "" {
		if options.Duration, err = time.ParseDuration(duration); err != nil {
			t.Fatal(err)
		}
	}
	before := runtime.NumGoroutine()
	report, err := escalation.Walk(t.Context(), options)
	if report != nil {
		t.Logf("seed %d: %d requests, answers %v; %d goroutines before, %d after", report.Seed, report.Requests, report.Answers, before, runtime.NumGoroutine())
		for _, violation := range report.Violations {
			t.Errorf("%s", violation)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, failure := range report.Failures {
		t.Errorf("500: %s", failure)
	}
	if report.Requests < 250 || report.Answers[200]+report.Answers[201] < report.Requests/50 {
		t.Error(fmt.Errorf("the walk did not get anywhere: %v", report.Answers))
	}
}
