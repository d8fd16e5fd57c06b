package kwoknodes

import (
	"encoding/json"
	"regexp"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/kwok/pkg/apis/internalversion"
	"sigs.k8s.io/kwok/pkg/utils/gotpl"
)

// Clients refuse the logs of a container that has no ID.
func TestContainerStatusesAreComplete(t *testing.T) {
	all, err := stages()
	if err != nil {
		t.Fatal(err)
	}
	always := corev1.ContainerRestartPolicyAlways
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", UID: "8c1d6a4e"},
		Spec: corev1.PodSpec{
			NodeName:       "node-1",
			InitContainers: []corev1.Container{{Name: "prepare", Image: "busybox:1"}, {Name: "proxy", Image: "envoy:1", RestartPolicy: &always}},
			Containers:     []corev1.Container{{Name: "main", Image: "registry.example.com:5000/web:2"}, {Name: "side", Image: "side"}},
		},
	}
	functions := stageFunctions()
	functions["NodeIPsWith"] = func(string) []string { return []string{"127.0.0.1"} }
	functions["PodIPsWith"] = func(string, bool, string, string, string) []string { return []string{"10.0.0.1"} }
	renderer := gotpl.NewRenderer(functions)
	id, image := regexp.MustCompile(`^containerd://[0-9a-f]{64}$`), regexp.MustCompile(`^[a-z.]+(:5000/web)?@sha256:[0-9a-f]{64}$`)
	var running map[string]string
	for _, test := range []struct {
		stage   string
		started map[string]bool
	}{
		{"pod-ready", map[string]bool{"main": true, "side": true, "prepare": false, "proxy": true}},
		{"pod-complete", map[string]bool{"main": false, "side": false}},
	} {
		t.Run(test.stage, func(t *testing.T) {
			text, err := renderer.ToJSON(stageNamed(t, all, test.stage).Spec.Steps[0].Patch.Template, pod)
			if err != nil {
				t.Fatal(err)
			}
			var status corev1.PodStatus
			if err := json.Unmarshal(text, &status); err != nil {
				t.Fatalf("%v: %s", err, text)
			}
			pod.Status = status // what the next stage continues from
			ids := map[string]string{}
			for _, s := range append(status.ContainerStatuses, status.InitContainerStatuses...) {
				want, known := test.started[s.Name]
				if !known || s.Started == nil || *s.Started != want {
					t.Errorf("%s: started %v, want %v", s.Name, s.Started, want)
				}
				if !id.MatchString(s.ContainerID) || !image.MatchString(s.ImageID) {
					t.Errorf("%s has the container ID %q and the image ID %q", s.Name, s.ContainerID, s.ImageID)
				}
				if running != nil && running[s.Name] != s.ContainerID {
					t.Errorf("%s had the container ID %q and has %q", s.Name, running[s.Name], s.ContainerID)
				}
				ids[s.Name] = s.ContainerID
			}
			if len(ids) != len(test.started) {
				t.Errorf("statuses of %d containers, want %d", len(ids), len(test.started))
			}
			for name, one := range ids {
				for another, other := range ids {
					if name != another && one == other {
						t.Errorf("%s and %s have one container ID", name, another)
					}
				}
			}
			running = ids
		})
	}
}

func stageNamed(t *testing.T, all map[internalversion.StageResourceRef][]*internalversion.Stage, name string) *internalversion.Stage {
	t.Helper()
	for _, stages := range all {
		for _, stage := range stages {
			if stage.Name == name {
				return stage
			}
		}
	}
	t.Fatalf("no stage %s", name)
	return nil
}
