package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/bcrypt"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
)

// cluster is kube-apiserver itself.
type cluster struct {
	address string
	http    *http.Client
	tls     *tls.Config
	// authority is the certificate Kubernetes is known by.
	authority []byte
	core      kubernetes.Interface
	objects   client.Client
}

// connect reaches the cluster the environment names.
func connect() (*cluster, error) {
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(clientcmd.NewDefaultClientConfigLoadingRules(), nil).ClientConfig()
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	c := &cluster{address: config.Host}
	if c.http, err = rest.HTTPClientFor(config); err != nil {
		return nil, err
	}
	if err := rest.LoadTLSFiles(config); err != nil {
		return nil, err
	}
	c.authority = config.CAData
	if c.tls, err = rest.TLSConfigFor(config); err != nil {
		return nil, err
	}
	if c.objects, err = kube.NewClient(config); err != nil {
		return nil, err
	}
	encoded := rest.CopyConfig(config)
	encoded.ContentType = "application/vnd.kubernetes.protobuf"
	c.core, err = kubernetes.NewForConfig(encoded)
	return c, err
}

// userWithoutRights creates a user nobody gave a role and returns a token.
func (b *bench) userWithoutRights(ctx context.Context) (string, error) {
	const password = "no-Rights-1"
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		return "", err
	}
	if err := b.cluster.objects.Create(ctx, &iamv1alpha2.User{
		ObjectMeta: metav1.ObjectMeta{Name: "bench-nobody"},
		Spec:       iamv1alpha2.UserSpec{Email: "bench-nobody@example.com", EncryptedPassword: string(hash)},
		Status:     iamv1alpha2.UserStatus{State: iamv1alpha2.UserActive},
	}); client.IgnoreAlreadyExists(err) != nil {
		return "", err
	}
	var token string
	for range 100 { // until it is in the cache
		if token, err = login(ctx, b.ks.address, "bench-nobody", password); err == nil {
			return token, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return "", err
}

// robot makes a service account that may do everything by a role, as people who
// administer a cluster do, and returns a token of it.
func (c *cluster) robot(ctx context.Context, name string) (string, error) {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: name}}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: metav1.NamespaceDefault, Name: name}},
	}
	for _, object := range []client.Object{account, binding} {
		if err := c.objects.Create(ctx, object); client.IgnoreAlreadyExists(err) != nil {
			return "", err
		}
	}
	token, err := c.core.CoreV1().ServiceAccounts(metav1.NamespaceDefault).CreateToken(ctx, name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	return token.Status.Token, nil
}

// deployed returns flags that let the server reach Kubernetes as it does in a
// pod, by the token of its service account, with the rights of that: of a client
// certificate Kubernetes checks the signature each time, and decides nothing.
func deployed(ctx context.Context) ([]string, error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "kubeconfig")
	output, err := exec.CommandContext(ctx, "hack/account/kubeconfig.sh", file).CombinedOutput() //nolint:gosec // our own
	if err != nil {
		return nil, fmt.Errorf("the account of the server: %w\n%s", err, output)
	}
	return []string{"--kubeconfig", file}, nil
}

// bind makes so many bindings of cluster roles, each for a user of its own.
func (c *cluster) bind(ctx context.Context, many int) error {
	for n := range many {
		err := c.objects.Create(ctx, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("bench-%04d", n)}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
			Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: fmt.Sprintf("bench-%04d", n)}},
		})
		if client.IgnoreAlreadyExists(err) != nil {
			return err
		}
	}
	return nil
}

// settled are pods nothing but the benchmark changes.
func (c *cluster) settled(ctx context.Context, limit int64) ([]corev1.Pod, error) {
	list, err := c.core.CoreV1().Pods("").List(ctx, metav1.ListOptions{LabelSelector: "devcluster/static", Limit: limit})
	if err != nil {
		return nil, err
	}
	if len(list.Items) == 0 {
		return nil, fmt.Errorf("the cluster has no settled pods: it needs more than 300 pods")
	}
	return list.Items, nil
}

// update changes pods at a rate per second until the context ends, and returns
// the rate that was reached. Changes that are late are made up for.
func (c *cluster) update(ctx context.Context, rate int) (float64, error) {
	pods, err := c.settled(ctx, 500)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	ticker := time.NewTicker(time.Second / time.Duration(rate))
	defer ticker.Stop()
	var done atomic.Int64
	var running sync.WaitGroup
	slots := make(chan struct{}, 128)
	for n := 0; ctx.Err() == nil; {
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
		for due := int(time.Since(began).Seconds() * float64(rate)); n < due && ctx.Err() == nil; n++ {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				continue
			}
			running.Go(func() {
				defer func() { <-slots }()
				if c.touch(ctx, &pods[n%len(pods)], n) == nil {
					done.Add(1)
				}
			})
		}
	}
	took := time.Since(began)
	running.Wait()
	return float64(done.Load()) / took.Seconds(), nil
}

// touch changes an annotation of a pod. It is written as a whole, in protobuf, by
// whoever is last: a patch costs kube-apiserver a fifth more.
func (c *cluster) touch(ctx context.Context, pod *corev1.Pod, n int) error {
	changed := *pod
	changed.ResourceVersion, changed.ManagedFields = "", nil
	changed.Annotations = maps.Clone(pod.Annotations)
	if changed.Annotations == nil {
		changed.Annotations = make(map[string]string, 1)
	}
	changed.Annotations["bench"] = strconv.Itoa(n)
	_, err := c.core.CoreV1().Pods(pod.Namespace).Update(ctx, &changed, metav1.UpdateOptions{})
	return err
}

// add creates copies of settled pods that belong to nobody.
func (c *cluster) add(ctx context.Context, many int) error {
	models, err := c.settled(ctx, 2000)
	if err != nil {
		return err
	}
	var next atomic.Int64
	failed := make(chan error, 1)
	var running sync.WaitGroup
	for range 8 {
		running.Go(func() {
			for ctx.Err() == nil {
				n := int(next.Add(1))
				if n > many {
					return
				}
				if err := c.copy(ctx, &models[n%len(models)], n); err != nil {
					select {
					case failed <- err:
					default:
					}
					return
				}
			}
		})
	}
	running.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return ctx.Err()
	}
}

func (c *cluster) copy(ctx context.Context, model *corev1.Pod, n int) error {
	pod := model.DeepCopy()
	pod.ObjectMeta = metav1.ObjectMeta{
		Name: fmt.Sprintf("%s-%d", model.Name, n), Namespace: model.Namespace, Annotations: model.Annotations, Labels: make(map[string]string),
	}
	for key, value := range model.Labels { // as long, but no service and no controller takes it for its own
		if key != "devcluster/static" && value != "" {
			value = "x" + value[1:]
		}
		pod.Labels[key] = value
	}
	created, err := c.core.CoreV1().Pods(pod.Namespace).Create(ctx, pod, metav1.CreateOptions{FieldManager: "kube-controller-manager"})
	if err != nil {
		return err
	}
	created.Status = model.Status
	_, err = c.core.CoreV1().Pods(pod.Namespace).UpdateStatus(ctx, created, metav1.UpdateOptions{FieldManager: "kubelet"})
	return err
}
