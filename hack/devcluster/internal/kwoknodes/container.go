package kwoknodes

import (
	"crypto/sha256"
	"fmt"
	"strings"
)

// ContainerID is the ID of a container as containerd's kubelets report it, the
// same for the whole life of the container.
func ContainerID(podUID, container string) string {
	return fmt.Sprintf("containerd://%x", sha256.Sum256([]byte(podUID+"/"+container)))
}

// ImageID is the digest of an image as kubelets report it.
func ImageID(image string) string {
	repository, _, _ := strings.Cut(image, "@")
	if colon := strings.LastIndex(repository, ":"); colon > strings.LastIndex(repository, "/") {
		repository = repository[:colon]
	}
	return fmt.Sprintf("%s@sha256:%x", repository, sha256.Sum256([]byte(image)))
}
