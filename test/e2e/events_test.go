//go:build e2e

package e2e

import (
	"fmt"
	"testing"

	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// warned waits for an event about an object: the account of the server may write them.
func warned(t *testing.T, c client.Client, reason, namespace, name string) {
	t.Helper()
	wait.For(t, "an event "+reason+" about "+name, func() error {
		events := &eventsv1.EventList{}
		if err := c.List(t.Context(), events); err != nil {
			return err
		}
		for _, one := range events.Items {
			if one.Reason == reason && one.Regarding.Namespace == namespace && one.Regarding.Name == name {
				return nil
			}
		}
		return fmt.Errorf("there are %d others", len(events.Items))
	})
}
