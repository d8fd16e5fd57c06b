package kwoknodes

import (
	"fmt"
	"regexp"

	"sigs.k8s.io/kwok/kustomize/stage/node/fast"
	leaseheartbeat "sigs.k8s.io/kwok/kustomize/stage/node/heartbeat-with-lease"
	podfast "sigs.k8s.io/kwok/kustomize/stage/pod/fast"
	"sigs.k8s.io/kwok/pkg/apis/internalversion"
	"sigs.k8s.io/kwok/pkg/config"
	"sigs.k8s.io/kwok/pkg/utils/gotpl"
)

// stages are KWOK's own descriptions of how nodes and pods come to life, with
// container statuses that are complete.
func stages() (map[internalversion.StageResourceRef][]*internalversion.Stage, error) {
	byResource := map[internalversion.StageResourceRef][]*internalversion.Stage{}
	for _, text := range []string{
		fast.DefaultNodeInit,
		leaseheartbeat.DefaultNodeHeartbeatWithLease,
		podfast.DefaultPodReady,
		podfast.DefaultPodComplete,
		podfast.DefaultPodDelete,
	} {
		stage, err := config.UnmarshalWithType[*internalversion.Stage](text)
		if err != nil {
			return nil, fmt.Errorf("parse a stage: %w", err)
		}
		completeStatuses(stage)
		ref := stage.Spec.ResourceRef
		byResource[ref] = append(byResource[ref], stage)
	}
	return byResource, nil
}

// The lines of KWOK's templates that container statuses have: the first of each,
// and the state of one that has no "started" in front of it.
var (
	firstLine      = regexp.MustCompile(`(?m)^- image: .*$`)
	notYetStarted  = regexp.MustCompile(`(?m)^  restartCount: 0\n  state:$`)
	initHasStopped = regexp.MustCompile(`(?m)^  \{\{ else \}\}\n  state:$`)
)

// completeStatuses adds what KWOK leaves out and every kubelet reports. Clients
// take a container without an ID for one that was never created, and offer no log
// of it.
func completeStatuses(stage *internalversion.Stage) {
	for _, step := range stage.Spec.Steps {
		if step.Patch == nil {
			continue
		}
		template := firstLine.ReplaceAllString(step.Patch.Template, "$0\n"+
			"  containerID: {{ ContainerID $$.metadata.uid .name | Quote }}\n"+
			"  imageID: {{ ImageID .image | Quote }}")
		template = notYetStarted.ReplaceAllString(template, "  restartCount: 0\n  started: true\n  state:")
		step.Patch.Template = initHasStopped.ReplaceAllString(template, "  {{ else }}\n  started: false\n  state:")
	}
}

// stageFunctions are the functions the templates of stages have beside KWOK's own.
func stageFunctions() gotpl.FuncMap {
	return gotpl.FuncMap{"ContainerID": ContainerID, "ImageID": ImageID}
}
