package seed

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const port = 8080

// podLabels select the pods of a workload.
func podLabels(w workload) map[string]string {
	return map[string]string{
		"app":                         w.name,
		"app.kubernetes.io/name":      w.name,
		"app.kubernetes.io/instance":  w.namespace + "-" + w.name,
		"app.kubernetes.io/component": w.component,
		"app.kubernetes.io/part-of":   w.namespace,
		"app.kubernetes.io/version":   "1.4.2",
		"tier":                        "backend",
	}
}

func selector(w workload) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{
		"app.kubernetes.io/name":     w.name,
		"app.kubernetes.io/instance": w.namespace + "-" + w.name,
	}}
}

// podTemplate is of the size that templates have in practice: two containers
// with environment, resources, probes and mounts.
func podTemplate(w workload) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{
			Labels: podLabels(w),
			Annotations: map[string]string{
				"prometheus.io/scrape": "true",
				"prometheus.io/port":   fmt.Sprint(port),
				"checksum/config":      "6b1f0fd5d4f4c6e2a4a41c0c7d8c0b8d0f6f0c0de3b1a2f4c5d6e7f8091a2b3c",
			},
		},
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{mainContainer(w), sidecar()},
			Volumes:    []corev1.Volume{{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}},
		},
	}
}

func mainContainer(w workload) corev1.Container {
	probe := func(path string) *corev1.Probe {
		return &corev1.Probe{
			ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
				Path: path, Port: intstr.FromString("http"),
			}},
			InitialDelaySeconds: 5,
		}
	}
	return corev1.Container{
		Name:  w.component,
		Image: fmt.Sprintf("registry.example.com/%s/%s:1.4.2", w.namespace, w.name),
		Args:  []string{"--config=/etc/app/config.yaml", "--log-format=json"},
		Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: port}, {Name: "metrics", ContainerPort: port + 1}},
		Env: []corev1.EnvVar{
			{Name: "POD_NAME", ValueFrom: fieldRef("metadata.name")},
			{Name: "POD_NAMESPACE", ValueFrom: fieldRef("metadata.namespace")},
			{Name: "LOG_LEVEL", Value: "info"},
			{Name: "DATABASE_HOST", Value: "postgres." + w.namespace + ".svc.cluster.local"},
			{Name: "CACHE_URL", Value: "redis://redis." + w.namespace + ".svc.cluster.local:6379/0"},
			{Name: "OTEL_EXPORTER_OTLP_ENDPOINT", Value: "http://collector.platform-prod.svc.cluster.local:4317"},
		},
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{
				corev1.ResourceCPU: resource.MustParse("50m"), corev1.ResourceMemory: resource.MustParse("64Mi"),
			},
			Limits: corev1.ResourceList{
				corev1.ResourceCPU: resource.MustParse("500m"), corev1.ResourceMemory: resource.MustParse("256Mi"),
			},
		},
		LivenessProbe:  probe("/healthz"),
		ReadinessProbe: probe("/readyz"),
		VolumeMounts:   []corev1.VolumeMount{{Name: "tmp", MountPath: "/tmp"}},
	}
}

func sidecar() corev1.Container {
	return corev1.Container{
		Name:  "log-agent",
		Image: "registry.example.com/platform/log-agent:3.1.0",
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{
				corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("32Mi"),
			},
		},
		VolumeMounts: []corev1.VolumeMount{{Name: "tmp", MountPath: "/var/log/app"}},
	}
}

func fieldRef(path string) *corev1.EnvVarSource {
	return &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}
}
