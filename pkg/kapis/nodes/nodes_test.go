package nodes

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/super-kubenetes/ks-apiserver/pkg/request"
)

// TestJudge: which pods go, by the rules of kubectl drain.
func TestJudge(t *testing.T) {
	owned := func(kind string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			yes := true
			p.OwnerReferences = []metav1.OwnerReference{{Kind: kind, Controller: &yes}}
		}
	}
	data := func(p *corev1.Pod) {
		owned("ReplicaSet")(p)
		p.Spec.Volumes = []corev1.Volume{{VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	}
	for name, test := range map[string]struct {
		pod  func(*corev1.Pod)
		o    options
		want string
	}{
		"of a replica set":           {owned("ReplicaSet"), options{}, goes},
		"of a daemon set":            {owned("DaemonSet"), options{force: true, deleteData: true}, stays},
		"of a daemon set, ended":     {func(p *corev1.Pod) { owned("DaemonSet")(p); p.Status.Phase = corev1.PodFailed }, options{}, goes},
		"of nobody":                  {func(*corev1.Pod) {}, options{}, "nobody will make it again"},
		"of nobody, forced":          {func(*corev1.Pod) {}, options{force: true}, goes},
		"of nobody, ended":           {func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }, options{}, goes},
		"with data":                  {data, options{force: true}, "it keeps data in an emptyDir"},
		"with data that may be lost": {data, options{deleteData: true}, goes},
		"a file on the node":         {func(p *corev1.Pod) { p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"} }, options{force: true}, stays},
		"on its way":                 {func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: time.Now()} }, options{}, goes},
	} {
		pod := &corev1.Pod{}
		test.pod(pod)
		if got := judge(pod, test.o); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

func TestOptions(t *testing.T) {
	for query, good := range map[string]bool{
		"": true, "force=true&deleteEmptyDirData=1&gracePeriodSeconds=0&timeoutSeconds=50": true, "force=maybe": false, "gracePeriodSeconds=-1": false,
		"gracePeriodSeconds=x": false, "timeoutSeconds=51": false, "force=": true, "force=true&force=false": false, "gracePeriodSeconds=1&gracePeriodSeconds=2": false, "timeoutSeconds=1&timeoutSeconds=2": false, "timeoutSeconds=0": false,
	} {
		parameters, err := request.ParseParameters(query)
		if err == nil {
			_, err = optionsOf(parameters)
		}
		if (err == nil) != good {
			t.Errorf("%s: %v", query, err)
		}
	}
}
