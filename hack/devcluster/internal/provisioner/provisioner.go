package provisioner

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
)

// provisionedBy tells the volume controller whose volume it is.
const provisionedBy = "pv.kubernetes.io/provisioned-by"

// Provisioner makes volumes for claims, grows them and removes them.
type Provisioner struct {
	client  kubernetes.Interface
	claims  corelisters.PersistentVolumeClaimLister
	volumes corelisters.PersistentVolumeLister
	queue   workqueue.TypedRateLimitingInterface[item]
}

// item is a claim, or a volume if it has no namespace.
type item struct{ namespace, name string }

// New makes a provisioner.
func New(client kubernetes.Interface) *Provisioner {
	return &Provisioner{
		client: client,
		queue:  workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[item]()),
	}
}

// Run works until ctx ends.
func (p *Provisioner) Run(ctx context.Context) error {
	factory := informers.NewSharedInformerFactory(p.client, 0)
	claims := factory.Core().V1().PersistentVolumeClaims()
	volumes := factory.Core().V1().PersistentVolumes()
	p.claims, p.volumes = claims.Lister(), volumes.Lister()
	for _, informer := range []cache.SharedIndexInformer{claims.Informer(), volumes.Informer()} {
		_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    p.enqueue,
			UpdateFunc: func(_, changed any) { p.enqueue(changed) },
		})
		if err != nil {
			return fmt.Errorf("watch claims and volumes: %w", err)
		}
	}
	factory.Start(ctx.Done())
	defer factory.Shutdown()
	if !cache.WaitForCacheSync(ctx.Done(), claims.Informer().HasSynced, volumes.Informer().HasSynced) {
		return ctx.Err()
	}
	stop := context.AfterFunc(ctx, p.queue.ShutDown)
	defer stop()
	for p.next(ctx) {
	}
	return ctx.Err()
}

func (p *Provisioner) enqueue(object any) {
	if o, ok := object.(metav1.Object); ok {
		p.queue.Add(item{o.GetNamespace(), o.GetName()})
	}
}

func (p *Provisioner) next(ctx context.Context) bool {
	it, shutdown := p.queue.Get()
	if shutdown {
		return false
	}
	defer p.queue.Done(it)
	if err := p.sync(ctx, it); err != nil {
		klog.FromContext(ctx).Error(err, "provisioner", "namespace", it.namespace, "name", it.name)
		p.queue.AddRateLimited(it)
		return true
	}
	p.queue.Forget(it)
	return true
}

func (p *Provisioner) sync(ctx context.Context, it item) error {
	var err error
	if it.namespace == "" {
		var volume *corev1.PersistentVolume
		if volume, err = p.volumes.Get(it.name); err == nil {
			err = p.syncVolume(ctx, volume)
		}
	} else {
		var claim *corev1.PersistentVolumeClaim
		if claim, err = p.claims.PersistentVolumeClaims(it.namespace).Get(it.name); err == nil {
			err = p.syncClaim(ctx, claim)
		}
	}
	if apierrors.IsNotFound(err) || apierrors.IsAlreadyExists(err) {
		// Gone, or done already.
		return nil
	}
	return err
}

// syncVolume removes a volume whose claim is gone.
func (p *Provisioner) syncVolume(ctx context.Context, volume *corev1.PersistentVolume) error {
	if volume.Annotations[provisionedBy] != driver ||
		volume.Status.Phase != corev1.VolumeReleased ||
		volume.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimDelete {
		return nil
	}
	return p.client.CoreV1().PersistentVolumes().Delete(ctx, volume.Name, metav1.DeleteOptions{})
}

func (p *Provisioner) syncClaim(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	if claim.Spec.StorageClassName == nil || *claim.Spec.StorageClassName != ClassName || claim.DeletionTimestamp != nil {
		return nil
	}
	if claim.Spec.VolumeName == "" {
		_, err := p.client.CoreV1().PersistentVolumes().Create(ctx, volumeFor(claim), metav1.CreateOptions{})
		return err
	}
	return p.grow(ctx, claim)
}

// grow makes a bound volume as large as its claim asks for by now.
func (p *Provisioner) grow(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	want := claim.Spec.Resources.Requests[corev1.ResourceStorage]
	have, bound := claim.Status.Capacity[corev1.ResourceStorage]
	if !bound || want.Cmp(have) <= 0 {
		return nil
	}
	volume, err := p.volumes.Get(claim.Spec.VolumeName)
	if err != nil {
		return err
	}
	if volume.Annotations[provisionedBy] != driver {
		return nil
	}
	volume = volume.DeepCopy()
	volume.Spec.Capacity[corev1.ResourceStorage] = want
	if _, err := p.client.CoreV1().PersistentVolumes().Update(ctx, volume, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("grow the volume: %w", err)
	}
	claim = claim.DeepCopy()
	claim.Status.Capacity[corev1.ResourceStorage] = want
	_, err = p.client.CoreV1().PersistentVolumeClaims(claim.Namespace).UpdateStatus(ctx, claim, metav1.UpdateOptions{})
	return err
}

func volumeFor(claim *corev1.PersistentVolumeClaim) *corev1.PersistentVolume {
	// The name follows from the claim, so making it twice changes nothing.
	name := "pvc-" + string(claim.UID)
	directory := corev1.HostPathDirectoryOrCreate
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{
			Name:        name,
			Annotations: map[string]string{provisionedBy: driver},
		},
		Spec: corev1.PersistentVolumeSpec{
			StorageClassName:              ClassName,
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
			AccessModes:                   claim.Spec.AccessModes,
			VolumeMode:                    claim.Spec.VolumeMode,
			Capacity: corev1.ResourceList{
				corev1.ResourceStorage: claim.Spec.Resources.Requests[corev1.ResourceStorage],
			},
			ClaimRef: &corev1.ObjectReference{
				APIVersion: "v1",
				Kind:       "PersistentVolumeClaim",
				Namespace:  claim.Namespace,
				Name:       claim.Name,
				UID:        claim.UID,
			},
			// No kubelet ever looks at this path.
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				HostPath: &corev1.HostPathVolumeSource{Path: "/var/lib/devcluster/" + name, Type: &directory},
			},
		},
	}
}
