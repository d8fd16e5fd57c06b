package setup

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/yaml"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	manifests "github.com/super-kubenetes/ks-apiserver/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/oauthclient"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
)

// newCluster is a Kubernetes that establishes definitions when they are read.
func newCluster(t testing.TB, existing ...client.Object) client.WithWatch {
	t.Helper()
	scheme, err := kube.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	return interceptor.NewClient(fake.NewClientBuilder().WithScheme(scheme).WithObjects(existing...).Build(), interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
			if err := c.Get(ctx, key, o, options...); err != nil {
				return err
			}
			if definition, is := o.(*apiextensionsv1.CustomResourceDefinition); is {
				definition.Status.Conditions = []apiextensionsv1.CustomResourceDefinitionCondition{{Type: apiextensionsv1.Established, Status: apiextensionsv1.ConditionTrue}}
			}
			return nil
		},
	})
}

func newSetup(c client.Client) *Setup {
	return &Setup{Client: c, Random: rand.Reader, Now: func() time.Time { return time.Unix(1767323045, 0) }}
}

func get[T client.Object](t testing.TB, c client.Client, namespace, name string, into T) T {
	t.Helper()
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, into); err != nil {
		t.Fatal(err)
	}
	return into
}

func missing(t testing.TB, c client.Client, namespace, name string, o client.Object) bool {
	t.Helper()
	err := c.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, o)
	if client.IgnoreNotFound(err) != nil {
		t.Fatal(err)
	}
	return err != nil
}

// TestManifests: what is installed is complete and in order.
func TestManifests(t *testing.T) {
	definitions, err := read(manifests.CRDs)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, definition := range definitions {
		names = append(names, definition.GetName())
		if definition.GetKind() != "CustomResourceDefinition" {
			t.Errorf("%s is a %s", definition.GetName(), definition.GetKind())
		}
	}
	for _, resource := range []string{"users", "globalroles", "globalrolebindings", "sessions"} {
		if !slices.Contains(names, resource+".iam.kubesphere.io") {
			t.Errorf("no definition of %s", resource)
		}
	}
	roles, err := read(manifests.IAM)
	if err != nil || len(roles) == 0 {
		t.Fatalf("%d objects, %v", len(roles), err)
	}
	seen := map[string]bool{}
	for _, object := range append(definitions, roles...) {
		key := object.GetKind() + " " + object.GetName()
		if object.GetName() == "" || seen[key] {
			t.Errorf("%s is there twice, or without a name", key)
		}
		seen[key] = true
	}
	if !seen["GlobalRole "+iamv1alpha2.GlobalRolePlatformAdmin] {
		t.Error("no role for the first user")
	}
}

func TestFirstStart(t *testing.T) {
	c := newCluster(t)
	s := newSetup(c)
	if err := s.Ready(); !errors.Is(err, errRunning) {
		t.Errorf("ready before it ran: %v", err)
	}
	s.Run(t.Context())
	if err := s.Ready(); err != nil {
		t.Fatal(err)
	}
	password := string(get(t, c, kube.Namespace, AdminPasswordSecret, &corev1.Secret{}).Data[adminPasswordKey])
	if len(password) < 24 {
		t.Errorf("a password of %d characters", len(password))
	}
	admin := get(t, c, "", "admin", &iamv1alpha2.User{})
	if admin.Status.State != iamv1alpha2.UserActive || bcrypt.CompareHashAndPassword([]byte(admin.Spec.EncryptedPassword), []byte(password)) != nil {
		t.Errorf("admin cannot log in with it: %+v", admin)
	}
	if strings.Contains(admin.Spec.EncryptedPassword, password) || admin.Annotations[iamv1alpha2.AnnotationUninitialized] != "true" {
		t.Errorf("admin is %+v", admin)
	}
	binding := get(t, c, "", "admin", &iamv1alpha2.GlobalRoleBinding{})
	if binding.RoleRef.Name != iamv1alpha2.GlobalRolePlatformAdmin || len(binding.Subjects) != 1 || binding.Subjects[0].Name != "admin" {
		t.Errorf("the binding is %+v", binding)
	}
	var stored oauthclient.Client
	secret := get(t, c, kube.Namespace, "oauthclient-kubesphere", &corev1.Secret{})
	if err := yaml.Unmarshal(secret.Data[oauthclient.SecretKey], &stored); err != nil || !stored.Trusted || !stored.Authenticates("kubesphere") || secret.Labels[oauthclient.Label] != oauthclient.LabelValue {
		t.Errorf("the OAuth client is %+v, %v", stored, err)
	}

	// A later start changes nothing that a person changed.
	role := get(t, c, "", iamv1alpha2.GlobalRolePlatformAdmin, &iamv1alpha2.GlobalRole{})
	delete(role.Labels, reserved.LabelManagedBy)
	role.Rules = nil
	if err := c.Update(t.Context(), role); err != nil {
		t.Fatal(err)
	}
	for _, gone := range []client.Object{admin, binding, secret} {
		if err := c.Delete(t.Context(), gone); err != nil {
			t.Fatal(err)
		}
	}
	again := newSetup(c)
	if again.Run(t.Context()); again.Ready() != nil {
		t.Fatal(again.Ready())
	}
	if got := get(t, c, "", iamv1alpha2.GlobalRolePlatformAdmin, &iamv1alpha2.GlobalRole{}); len(got.Rules) != 0 {
		t.Error("a role a person took over was changed back")
	}
	if !missing(t, c, "", "admin", &iamv1alpha2.User{}) || !missing(t, c, "", "admin", &iamv1alpha2.GlobalRoleBinding{}) || !missing(t, c, kube.Namespace, "oauthclient-kubesphere", &corev1.Secret{}) {
		t.Error("what a person deleted came back")
	}
}

func TestFirstUser(t *testing.T) {
	for _, test := range []struct {
		name     string
		existing []client.Object
		change   func(*Setup)
		password string // "" when there is no admin
		secret   bool   // whether a password is generated
		client   bool   // whether an OAuth client is made
	}{
		{"with a password of the configuration", nil, func(s *Setup) { s.AdminPassword = "P@88w0rd" }, "P@88w0rd", false, true},
		{"with a client of the configuration", nil, func(s *Setup) {
			s.AdminPassword, s.ConfiguredClients = "P@88w0rd", []config.Client{{Name: "kubesphere", Secret: "x"}}
		}, "P@88w0rd", false, false},
		{"where another client is configured", nil, func(s *Setup) {
			s.AdminPassword, s.ConfiguredClients = "P@88w0rd", []config.Client{{Name: "other"}}
		}, "P@88w0rd", false, true},
		{"where KubeSphere was installed", []client.Object{&iamv1alpha2.User{ObjectMeta: metav1.ObjectMeta{Name: "somebody"}}}, nil, "", false, true},
		{"where the password was made by another replica", []client.Object{&corev1.Secret{ObjectMeta: ours(AdminPasswordSecret), Data: map[string][]byte{adminPasswordKey: []byte("of the other")}}}, nil, "of the other", true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCluster(t, test.existing...)
			s := newSetup(c)
			if test.change != nil {
				test.change(s)
			}
			if s.Run(t.Context()); s.Ready() != nil {
				t.Fatal(s.Ready())
			}
			if test.password == "" {
				if !missing(t, c, "", "admin", &iamv1alpha2.User{}) {
					t.Error("there is a user admin")
				}
			} else if admin := get(t, c, "", "admin", &iamv1alpha2.User{}); bcrypt.CompareHashAndPassword([]byte(admin.Spec.EncryptedPassword), []byte(test.password)) != nil {
				t.Error("admin has another password")
			}
			if generated := !missing(t, c, kube.Namespace, AdminPasswordSecret, &corev1.Secret{}); generated != test.secret {
				t.Errorf("a password was generated: %v", generated)
			}
			if made := !missing(t, c, kube.Namespace, "oauthclient-kubesphere", &corev1.Secret{}); made != test.client {
				t.Errorf("an OAuth client was made: %v", made)
			}
		})
	}
}

// TestRunTriesAgain: a cluster that is not there yet is waited for, and the
// reason is told meanwhile.
func TestRunTriesAgain(t *testing.T) {
	cluster, attempts := newCluster(t), atomic.Int64{} // objects are applied several at once
	c := interceptor.NewClient(cluster, interceptor.Funcs{
		Get: func(ctx context.Context, _ client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
			if attempts.Add(1) == 1 {
				return apierrors.NewServiceUnavailable("etcd is away")
			}
			return cluster.Get(ctx, key, o, options...)
		},
	})
	s := newSetup(c)
	s.AdminPassword = "P@88w0rd"
	if s.Run(t.Context()); s.Ready() != nil {
		t.Errorf("in the end: %v", s.Ready())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	attempts.Store(0)
	stopped := newSetup(c)
	if stopped.Run(ctx); stopped.Ready() == nil || !strings.Contains(stopped.Ready().Error(), "etcd is away") {
		t.Errorf("stopped: %v", stopped.Ready())
	}
}
