package seed

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func namespaceLabels(name string) map[string]string {
	return map[string]string{"team": name, "managed-by": "devcluster"}
}

func (a *api) namespace(name string) creating {
	return func(ctx context.Context) error {
		_, err := a.client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: namespaceLabels(name)},
		}, metav1.CreateOptions{})
		return err
	}
}

func (a *api) deployment(w workload) creating {
	return func(ctx context.Context) error {
		_, err := a.client.AppsV1().Deployments(w.namespace).Create(ctx, deployment(w), metav1.CreateOptions{})
		return err
	}
}

func (a *api) service(w workload) creating {
	return func(ctx context.Context) error {
		_, err := a.client.CoreV1().Services(w.namespace).Create(ctx, &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: w.name, Labels: podLabels(w)},
			Spec: corev1.ServiceSpec{
				Selector: selector(w).MatchLabels,
				Ports:    []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromString("http")}},
			},
		}, metav1.CreateOptions{})
		return err
	}
}

func (a *api) statefulSet(w workload) creating {
	replicas := int32(w.replicas)
	return func(ctx context.Context) error {
		_, err := a.client.AppsV1().StatefulSets(w.namespace).Create(ctx, &appsv1.StatefulSet{
			ObjectMeta: metav1.ObjectMeta{Name: w.name, Labels: podLabels(w)},
			Spec: appsv1.StatefulSetSpec{
				Replicas:            &replicas,
				ServiceName:         w.name,
				Selector:            selector(w),
				Template:            podTemplate(w),
				PodManagementPolicy: appsv1.ParallelPodManagement,
				VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{
					ObjectMeta: metav1.ObjectMeta{Name: "data"}, Spec: claimSpec("10Gi"),
				}},
			},
		}, metav1.CreateOptions{})
		return err
	}
}

func (a *api) job(w workload) creating {
	template := podTemplate(w)
	template.Spec.RestartPolicy = corev1.RestartPolicyNever
	return func(ctx context.Context) error {
		_, err := a.client.BatchV1().Jobs(w.namespace).Create(ctx, &batchv1.Job{
			ObjectMeta: metav1.ObjectMeta{Name: w.name, Labels: podLabels(w)},
			Spec:       batchv1.JobSpec{Template: template},
		}, metav1.CreateOptions{})
		return err
	}
}

// furnishings are what a namespace holds besides workloads.
func (a *api) furnishings(namespace string) []creating {
	core, options := a.client.CoreV1(), metav1.CreateOptions{}
	work := []creating{
		func(ctx context.Context) error {
			_, err := core.PersistentVolumeClaims(namespace).Create(ctx, &corev1.PersistentVolumeClaim{
				ObjectMeta: metav1.ObjectMeta{Name: "shared"}, Spec: claimSpec("5Gi"),
			}, options)
			return err
		},
		func(ctx context.Context) error {
			// Suspended, so that the number of pods stays what was asked for.
			_, err := a.client.BatchV1().CronJobs(namespace).Create(ctx, a.cronJob(namespace), options)
			return err
		},
	}
	for i := range 2 {
		meta := metav1.ObjectMeta{Name: fmt.Sprintf("settings-%d", i), Labels: namespaceLabels(namespace)}
		work = append(work,
			func(ctx context.Context) error {
				_, err := core.ConfigMaps(namespace).Create(ctx, &corev1.ConfigMap{
					ObjectMeta: meta,
					Data:       map[string]string{"config.yaml": "log:\n  level: info\n  format: json\ncache:\n  size: 128\n"},
				}, options)
				return err
			},
			func(ctx context.Context) error {
				_, err := core.Secrets(namespace).Create(ctx, &corev1.Secret{
					ObjectMeta: meta,
					StringData: map[string]string{"username": "app", "password": "not-a-secret"},
				}, options)
				return err
			},
		)
	}
	return work
}

func (a *api) cronJob(namespace string) *batchv1.CronJob {
	template := podTemplate(workload{namespace: namespace, name: "cleanup", component: "cleanup"})
	template.Spec.RestartPolicy = corev1.RestartPolicyOnFailure
	suspend := true
	return &batchv1.CronJob{
		ObjectMeta: metav1.ObjectMeta{Name: "cleanup"},
		Spec: batchv1.CronJobSpec{
			Schedule:    "17 3 * * *",
			Suspend:     &suspend,
			JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: template}},
		},
	}
}

func claimSpec(size string) corev1.PersistentVolumeClaimSpec {
	return corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Resources: corev1.VolumeResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)},
		},
	}
}
