package iam

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
)

// outcomes are the records there are, as address, outcome and number, in order.
func outcomes(t *testing.T, c client.Client) []string {
	t.Helper()
	found := &iamv1alpha2.LoginRecordList{}
	if err := c.List(t.Context(), found); err != nil {
		t.Fatal(err)
	}
	var all []string
	for n := range found.Items {
		one := &found.Items[n]
		count := max(1, atoi(one.Annotations[iamv1alpha2.AnnotationAttempts]))
		all = append(all, fmt.Sprintf("%s %s %v %d", one.Labels[iamv1alpha2.LabelUserReference], one.Spec.SourceIP, one.Spec.Success, count))
	}
	slices.Sort(all)
	return all
}

func atoi(text string) int {
	number, _ := strconv.Atoi(text)
	return number
}

// TestRecords: who guesses does not fill the store, and no failure is lost.
func TestRecords(t *testing.T) {
	failed := Login{User: "jane", SourceIP: "192.0.2.1"}
	elsewhere := Login{User: "jane", SourceIP: "192.0.2.2"}
	nobody := Login{User: "nobody", SourceIP: "192.0.2.1"}
	byEmail := Login{User: "jane@example.com", SourceIP: "192.0.2.1"}
	right := Login{User: "jane", SourceIP: "192.0.2.1", Success: true}
	for _, test := range []struct {
		name   string
		logins [][]Login // each followed by a flush, a second apart
		want   []string
	}{
		{"one failure is written at once", [][]Login{{failed}}, []string{"jane 192.0.2.1 false 1"}},
		{"many are one record", [][]Login{{failed, failed, failed}}, []string{"jane 192.0.2.1 false 3"}},
		{"those that follow wait, and are written in the end", [][]Login{{failed}, {failed}, {failed}}, []string{"jane 192.0.2.1 false 1", "jane 192.0.2.1 false 2"}},
		{"each address has its own", [][]Login{{failed, elsewhere, failed}}, []string{"jane 192.0.2.1 false 2", "jane 192.0.2.2 false 1"}},
		{"nobody has none", [][]Login{{nobody}}, nil},
		// Failures by address were recorded for nobody.
		{"by e-mail address", [][]Login{{byEmail, failed}}, []string{"jane 192.0.2.1 false 2"}},
		// A failure within ten seconds of a success was not to be seen before.
		{"nor does the first failure after a success", [][]Login{{right}, {failed}, {failed}}, []string{"jane 192.0.2.1 false 1", "jane 192.0.2.1 false 1", "jane 192.0.2.1 true 1"}},
		{"a success waits for nothing", [][]Login{{failed}, {failed, right}}, []string{"jane 192.0.2.1 false 1", "jane 192.0.2.1 false 1", "jane 192.0.2.1 true 1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, _ := newDirectory(t, map[string][]string{"users": {user("jane", "jane@example.com", "Active")}})
			c := cluster(t)
			records := NewRecords(c, d)
			now := time.Now()
			records.Now = func() time.Time { return now }
			for _, logins := range test.logins {
				for _, login := range logins {
					records.Record(t.Context(), login)
				}
				records.flush(t.Context(), false)
				now = now.Add(time.Second)
			}
			records.flush(t.Context(), true)
			if got := outcomes(t, c); !slices.Equal(got, test.want) {
				t.Errorf("recorded %v, want %v", got, test.want)
			}
		})
	}
}

// awayClient creates nothing while Kubernetes is away.
type awayClient struct {
	client.Client
	away bool
}

func (c *awayClient) Create(ctx context.Context, o client.Object, options ...client.CreateOption) error {
	if c.away {
		return errors.New("away")
	}
	return c.Client.Create(ctx, o, options...)
}

// TestRecordsKept: what Kubernetes does not take now it gets later, and what a
// stopping server has it writes.
func TestRecordsKept(t *testing.T) {
	d, _ := newDirectory(t, map[string][]string{"users": {user("jane", "jane@example.com", "Active")}})
	stored := cluster(t)
	c := &awayClient{Client: stored, away: true}
	records := NewRecords(c, d)
	for range 3 {
		records.Record(t.Context(), Login{User: "jane", SourceIP: "192.0.2.1"})
		records.flush(t.Context(), true)
	}
	c.away = false
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	records.Run(ctx)
	total := 0
	for _, one := range outcomes(t, stored) {
		total += atoi(one[len(one)-1:])
	}
	if total != 3 {
		t.Errorf("recorded %v", outcomes(t, stored))
	}
}

// TestRecordsFromEverywhere: however many addresses attempts come from, memory
// is bounded and all are counted.
func TestRecordsFromEverywhere(t *testing.T) {
	d, _ := newDirectory(t, map[string][]string{"users": {user("jane", "jane@example.com", "Active")}})
	records := NewRecords(cluster(t), d)
	for n := range openSeries + 100 {
		records.Record(t.Context(), Login{User: "jane", SourceIP: fmt.Sprintf("10.0.%d.%d", n/256, n%256)})
	}
	total := 0
	for _, runs := range records.due(true) {
		for n := range runs {
			total += runs[n].count
		}
	}
	if len(records.open) > openSeries+1 || total != openSeries+100 {
		t.Errorf("%d series of %d attempts", len(records.open), total)
	}
}

func TestFailures(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	record := func(name, user, address string, ago time.Duration, success bool, attempts int) string {
		return fmt.Sprintf(`{"metadata":{"name":%q,"creationTimestamp":%q,"labels":{"iam.kubesphere.io/user-ref":%q},"annotations":{"iam.kubesphere.io/attempts":"%d"}},"spec":{"sourceIP":%q,"success":%v}}`,
			name, now.Add(-ago).Format(time.RFC3339), user, attempts, address, success)
	}
	for _, test := range []struct {
		name    string
		records []string
		want    identity.Failures
	}{
		{"none", nil, identity.Failures{}},
		{"of the user at the address", []string{
			record("a", "jane", "192.0.2.1", time.Minute, false, 1), record("b", "jane", "192.0.2.1", 2*time.Minute, false, 7),
			record("c", "jane", "192.0.2.2", time.Minute, false, 1), record("d", "john", "192.0.2.1", time.Minute, false, 1),
		}, identity.Failures{Count: 8, Last: now.Add(-time.Minute)}},
		{"since the last success", []string{
			record("a", "jane", "192.0.2.1", time.Minute, false, 2), record("b", "jane", "192.0.2.1", 2*time.Minute, true, 0), record("c", "jane", "192.0.2.1", 3*time.Minute, false, 9),
		}, identity.Failures{Count: 2, Last: now.Add(-time.Minute), Succeeded: true}},
		{"a success longer ago than failures count", []string{
			record("a", "jane", "192.0.2.1", time.Minute, false, 2), record("b", "jane", "192.0.2.1", 40*time.Minute, false, 9), record("c", "jane", "192.0.2.1", 100*time.Hour, true, 0),
		}, identity.Failures{Count: 2, Last: now.Add(-time.Minute), Succeeded: true}},
		{"a success elsewhere is another's", []string{
			record("a", "jane", "192.0.2.2", time.Minute, true, 0), record("b", "jane", "192.0.2.1", 2*time.Minute, false, 3),
		}, identity.Failures{Count: 3, Last: now.Add(-2 * time.Minute)}},
		{"in the second of the success", []string{
			record("a", "jane", "192.0.2.1", time.Minute, false, 5), record("b", "jane", "192.0.2.1", time.Minute, true, 0),
		}, identity.Failures{Succeeded: true}},
		{"long ago", []string{record("a", "jane", "192.0.2.1", time.Hour, false, 5)}, identity.Failures{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, _ := newDirectory(t, map[string][]string{"loginrecords": test.records})
			got, err := d.Failures(30*time.Minute, func() time.Time { return now })(t.Context(), "jane", "192.0.2.1")
			if err != nil || got != test.want {
				t.Errorf("got %+v, %v, want %+v", got, err, test.want)
			}
		})
	}
}
