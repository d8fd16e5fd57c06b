package setup

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	manifests "github.com/super-kubenetes/ks-apiserver/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/passwordhash"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
)

// parallel bounds how many objects are written at a time: a server that starts
// must not take the whole of kube-apiserver.
const parallel = 16

// appliedDigest is the annotation that says which version of a manifest an
// object was written from, so that a later start reads it and no more.
const appliedDigest = "ks-apiserver.kubesphere.io/applied"

// errRunning is the state before the first attempt has ended.
var errRunning = errors.New("the cluster is being prepared")

// Setup prepares a cluster.
type Setup struct {
	Client client.Client
	// Names is the register of the platform's namespaces; nil for the built-in one.
	Names *reserved.Register
	// AdminPassword is the password of user admin; one is generated when it is empty.
	AdminPassword config.Secret
	// ConfiguredClients are the OAuth clients of the configuration.
	ConfiguredClients []config.Client
	Random            io.Reader
	// Hasher makes the hash of the password of user admin.
	Hasher passwordhash.Hasher
	Now    func() time.Time

	state atomic.Pointer[state]
}

type state struct{ err error }

// Ready reports why the cluster is not prepared; nil when it is.
func (s *Setup) Ready() error {
	if current := s.state.Load(); current != nil {
		return current.err
	}
	return errRunning
}

// Run prepares the cluster, again and again until that succeeds or the
// context ends.
func (s *Setup) Run(ctx context.Context) {
	for wait := 500 * time.Millisecond; ; wait = min(2*wait, 10*time.Second) {
		err := s.once(ctx)
		s.state.Store(&state{err: err})
		if err == nil || ctx.Err() != nil {
			return
		}
		slog.WarnContext(ctx, "the cluster is not prepared yet", "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

func (s *Setup) once(ctx context.Context) error {
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"namespace", s.namespace},
		{"custom resource definitions", s.definitions},
		{"built-in roles", s.roles},
		{"first user and OAuth client", s.firstStart},
		{"workspace of the platform", s.systemWorkspace},
	} {
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return nil
}

func (s *Setup) namespace(ctx context.Context) error {
	// In a pod it is there, and creating namespaces is no right of ours.
	err := s.Client.Get(ctx, client.ObjectKey{Name: kube.Namespace}, &corev1.Namespace{})
	if !apierrors.IsNotFound(err) {
		return err
	}
	return s.create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: kube.Namespace}})
}

// definitions installs the CRDs and waits until they are served.
func (s *Setup) definitions(ctx context.Context) error {
	all, err := read(manifests.CRDs)
	if err != nil {
		return err
	}
	return atOnce(ctx, all, func(ctx context.Context, definition *unstructured.Unstructured) error {
		if err := s.apply(ctx, definition); err != nil {
			return err
		}
		return s.served(ctx, definition.GetName())
	})
}

// atOnce does something to many objects, some of them at a time.
func atOnce(ctx context.Context, all []*unstructured.Unstructured, do func(context.Context, *unstructured.Unstructured) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, object := range all {
		group.Go(func() error { return do(ctx, object) })
	}
	return group.Wait()
}

// served waits, for a bounded time, until a CRD is established.
func (s *Setup) served(ctx context.Context, name string) error {
	for range 100 {
		definition := &apiextensionsv1.CustomResourceDefinition{}
		if err := s.Client.Get(ctx, client.ObjectKey{Name: name}, definition); err != nil {
			return err
		}
		for _, condition := range definition.Status.Conditions {
			if condition.Type == apiextensionsv1.Established && condition.Status == apiextensionsv1.ConditionTrue {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return fmt.Errorf("%s is not established", name)
}

func (s *Setup) roles(ctx context.Context) error {
	all, err := read(manifests.IAM)
	if err != nil {
		return err
	}
	return atOnce(ctx, all, s.apply)
}

// apply brings an object up to date by server-side apply. An object somebody
// else made, or the fields of ours that a person changed, stay as they are;
// annotations alone are added to what others made.
func (s *Setup) apply(ctx context.Context, object *unstructured.Unstructured) error {
	digest, err := digestOf(object)
	if err != nil {
		return err
	}
	found := &unstructured.Unstructured{}
	found.SetGroupVersionKind(object.GroupVersionKind())
	err = s.Client.Get(ctx, client.ObjectKeyFromObject(object), found)
	switch {
	case err == nil && found.GetAnnotations()[appliedDigest] == digest:
		return nil // nothing is new since it was written
	case annotates(object):
		if err != nil {
			return client.IgnoreNotFound(err)
		}
	case err == nil && found.GetLabels()[reserved.LabelManagedBy] != reserved.ManagedByServer:
		slog.DebugContext(ctx, "left as it was found", "kind", object.GetKind(), "name", object.GetName())
		return nil
	case err != nil && !apierrors.IsNotFound(err):
		return err
	default:
		labels := object.GetLabels()
		if labels == nil {
			labels = make(map[string]string)
		}
		labels[reserved.LabelManagedBy] = reserved.ManagedByServer
		object.SetLabels(labels)
	}
	annotations := object.GetAnnotations()
	if annotations == nil {
		annotations = make(map[string]string)
	}
	annotations[appliedDigest] = digest
	object.SetAnnotations(annotations)
	err = s.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner(kube.FieldManager))
	if apierrors.IsConflict(err) {
		slog.InfoContext(ctx, "left as somebody changed it", "kind", object.GetKind(), "name", object.GetName(), "reason", err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
	}
	return nil
}

// digestOf tells a version of a manifest from all others.
func digestOf(object *unstructured.Unstructured) (string, error) {
	text, err := object.MarshalJSON()
	if err != nil {
		return "", err
	}
	digest := sha256.Sum256(text)
	return hex.EncodeToString(digest[:]), nil
}

// annotates reports whether an object has nothing but a name and annotations.
func annotates(object *unstructured.Unstructured) bool {
	return len(object.Object) == 3 && len(object.GetAnnotations()) > 0 && len(object.GetLabels()) == 0
}

// read decodes all objects of the files of a file system.
func read(files embed.FS) ([]*unstructured.Unstructured, error) {
	var all []*unstructured.Unstructured
	err := fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		file, err := files.Open(path)
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }()
		decoder := utilyaml.NewYAMLOrJSONDecoder(file, 4096)
		for {
			object := &unstructured.Unstructured{}
			switch err := decoder.Decode(object); {
			case errors.Is(err, io.EOF):
				return nil
			case err != nil:
				return fmt.Errorf("%s: %w", path, err)
			case len(object.Object) > 0:
				all = append(all, object)
			}
		}
	})
	return all, err
}
