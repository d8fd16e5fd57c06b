package seed

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"path"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"
)

const (
	// Limits of one transaction; etcd's own are 128 operations and 1.5 MiB.
	maxOperations = 100
	maxBytes      = 1 << 20
	// writers run at once, so that encoding goes on while the disk is waited for.
	writers = 4
	// oldest is the age of the oldest deployment.
	oldest = 30 * 24 * time.Hour
)

// directories are where kube-apiserver keeps the kinds written here.
var directories = map[string]string{
	"Namespace":  "/registry/namespaces",
	"Node":       "/registry/minions",
	"Deployment": "/registry/deployments",
	"ReplicaSet": "/registry/replicasets",
	"Pod":        "/registry/pods",
}

// object is what all Kubernetes objects are.
type object interface {
	runtime.Object
	metav1.Object
}

// kindOf is the kind of one of client-go's types.
func kindOf(o any) schema.GroupVersionKind {
	typed, ok := o.(runtime.Object)
	if !ok {
		return schema.GroupVersionKind{}
	}
	kinds, _, err := scheme.Scheme.ObjectKinds(typed)
	if err != nil || len(kinds) == 0 {
		return schema.GroupVersionKind{}
	}
	return kinds[0]
}

// writeSettled writes nodes, namespaces and workloads of that many pods.
func writeSettled(ctx context.Context, etcd *clientv3.Client, pods int, opts Options) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(writers)
	w := &writer{ctx: ctx, etcd: etcd, group: group}
	// On an error here the writers end with ctx, and theirs is the cause.
	err := writeAll(w, pods, opts)
	if waitErr := group.Wait(); waitErr != nil {
		return waitErr
	}
	return err
}

func writeAll(w *writer, pods int, opts Options) error {
	now := time.Now().Truncate(time.Second)
	plan := planSettled(pods)
	nodes := (pods + podsPerNode - 1) / podsPerNode
	for i := range nodes {
		if err := w.put(staticNode(i, opts.KubeletPort, now.Add(-oldest-time.Duration(i)*time.Minute))); err != nil {
			return err
		}
	}
	for i, name := range namespacesOf(plan) {
		if err := w.put(namespace(name, now.Add(-oldest-time.Duration(i)*time.Second))); err != nil {
			return err
		}
	}
	random := rand.New(rand.NewPCG(2, uint64(pods)))
	number := 0
	for _, item := range plan {
		created := now.Add(-time.Hour - time.Duration(random.Int64N(int64(oldest-time.Hour)))).Truncate(time.Second)
		r := newRollout(item, created)
		if err := w.put(r.deployment, r.replicaSet); err != nil {
			return err
		}
		factory := newPodFactory(r)
		for range item.replicas {
			// Pods are rarely as old as their deployment.
			at := created.Add(time.Duration(random.Int64N(3500)) * time.Second)
			if err := w.put(factory.pod(staticNodeName(number%nodes), number, at)); err != nil {
				return err
			}
			number++
			if number%20_000 == 0 {
				opts.Progress("%d of %d pods written", number, pods)
			}
		}
	}
	return w.flush()
}

func namespace(name string, created time.Time) *corev1.Namespace {
	n := &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: namespaceLabels(name)},
		Spec:       corev1.NamespaceSpec{Finalizers: []corev1.FinalizerName{corev1.FinalizerKubernetes}},
		Status:     corev1.NamespaceStatus{Phase: corev1.NamespaceActive},
	}
	n.Labels[corev1.LabelMetadataName] = name
	stamp(n, created)
	return n
}

// writer collects objects into transactions.
type writer struct {
	ctx   context.Context
	etcd  *clientv3.Client
	group *errgroup.Group
	batch []clientv3.Op
	size  int
}

// put adds objects and writes when there are enough.
func (w *writer) put(objects ...object) error {
	for _, o := range objects {
		gvk := kindOf(o)
		directory, ok := directories[gvk.Kind]
		if !ok {
			return fmt.Errorf("no place in etcd is known for %T", o)
		}
		value, err := encode(o, gvk)
		if err != nil {
			return fmt.Errorf("encode %s %s/%s: %w", gvk.Kind, o.GetNamespace(), o.GetName(), err)
		}
		key := path.Join(directory, o.GetNamespace(), o.GetName())
		if len(w.batch) == maxOperations || w.size+len(value) > maxBytes {
			if err := w.flush(); err != nil {
				return err
			}
		}
		w.batch = append(w.batch, clientv3.OpPut(key, string(value)))
		w.size += len(value)
	}
	return nil
}

func (w *writer) flush() error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	batch := w.batch
	w.batch, w.size = nil, 0
	w.group.Go(func() error {
		if _, err := w.etcd.Txn(w.ctx).Then(batch...).Commit(); err != nil {
			return fmt.Errorf("write into etcd: %w", err)
		}
		return nil
	})
	return nil
}

// encode makes the bytes kube-apiserver would store.
func encode(o runtime.Object, gvk schema.GroupVersionKind) ([]byte, error) {
	o.GetObjectKind().SetGroupVersionKind(gvk)
	var buffer bytes.Buffer
	if err := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme).Encode(o, &buffer); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}
