package oauthclient

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/super-kubenetes/ks-apiserver/pkg/config"
)

func stored(name, namespace, configuration string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{Label: LabelValue}},
		Type:       SecretType, Data: map[string][]byte{SecretKey: []byte(configuration)},
	}
}

func TestAuthenticates(t *testing.T) {
	const argon = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQxMjM0NTY3OA$+jUYRBrPPGKW5efrCBx9kJZz7cnPV0tdgPhKV4Q/GIo"
	for _, test := range []struct {
		name, secret, given string
		want                bool
	}{
		{"right", "a", "a", true},
		{"wrong", "a", "b", false},
		{"part of it", "ab", "a", false},
		{"more than it", "a", "ab", false},
		{"empty", "a", "", false},
		{"a client without a secret", "", "", false},
		{"a client without a secret, given one", "", "a", false},
		{"long", strings.Repeat("a", 1000), strings.Repeat("a", 1000), true},
		{"bcrypt", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U", true},
		{"bcrypt, another", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*V", false},
		{"bcrypt, the hash itself", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", false},
		// A hash of argon2id was taken for the secret itself.
		{"argon2id", argon, "hunter2", true},
		{"argon2id, another", argon, "hunter3", false},
		{"argon2id, the hash itself", argon, argon, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := (&Client{Secret: test.secret}).Authenticates(test.given); got != test.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestFind(t *testing.T) {
	age := metav1.Duration{Duration: 90 * time.Second}
	clients := &Clients{
		Configured: []config.Client{{Name: "configured", Secret: "of the file", AccessTokenMaxAge: &age}, {Name: "both", Secret: "of the file"}},
		Namespace:  "n", Now: time.Now,
		Reader: fake.NewClientBuilder().WithObjects(
			stored("a", "n", "name: stored\nsecret: of the cluster\ntrusted: true\naccessTokenMaxAgeSeconds: 60\nredirectURIs: [https://a.example.com/cb]"),
			stored("b", "n", "name: both\nsecret: of the cluster"),
			stored("c", "n", "name: untrusted\nsecret: x"),
			stored("d", "m", "name: elsewhere\nsecret: x"),
			&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "e"}, Data: map[string][]byte{SecretKey: []byte("name: unlabelled")}},
			stored("f", "n", "secret: nameless"),
		).Build(),
	}
	for _, test := range []struct {
		name, client string
		secret       string // "" for none
		trusted      bool
		seconds      int64
	}{
		{"of the file", "configured", "of the file", true, 90},
		{"of the cluster", "stored", "of the cluster", true, 60},
		{"of both, the file counts", "both", "of the file", true, 0},
		{"not trusted unless it says so", "untrusted", "x", false, 0},
		{"of another namespace", "elsewhere", "", false, 0},
		{"a secret without the label", "unlabelled", "", false, 0},
		{"unknown", "nobody", "", false, 0},
		{"no name", "", "", false, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			found, err := clients.Find(t.Context(), test.client)
			if err != nil || (found != nil) != (test.secret != "") {
				t.Fatalf("got %v, %v", found, err)
			}
			if found != nil && (found.Secret != test.secret || found.Trusted != test.trusted || found.AccessTokenMaxAgeSeconds != test.seconds || found.Name != test.client) {
				t.Errorf("got %+v", found)
			}
		})
	}
}

// TestReadAgain: a change needs no restart, and clients outlive a Kubernetes
// that is away.
func TestReadAgain(t *testing.T) {
	now, reads, away := time.Unix(1700000000, 0), 0, true
	cluster := fake.NewClientBuilder().Build()
	clients := &Clients{Namespace: "n", Now: func() time.Time { return now }, Reader: interceptor.NewClient(cluster, interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			if _, bounded := ctx.Deadline(); !bounded {
				t.Error("whoever asks may wait for ever, and all others")
			}
			if reads++; away {
				return apierrors.NewServiceUnavailable("away")
			}
			return c.List(ctx, list, options...)
		},
	})}
	expect := func(there bool, readsSoFar int, why string) {
		t.Helper()
		found, err := clients.Find(t.Context(), "a")
		if err != nil || (found != nil) != there || reads != readsSoFar {
			t.Errorf("%s: %v, %v after %d reads, want %v after %d", why, found, err, reads, there, readsSoFar)
		}
	}
	if _, err := clients.Find(t.Context(), "a"); !apierrors.IsServiceUnavailable(err) {
		t.Errorf("not known yet: %v", err)
	}
	away = false
	expect(false, 2, "there is none")
	if err := cluster.Create(t.Context(), stored("a", "n", "name: a\nsecret: x")); err != nil {
		t.Fatal(err)
	}
	expect(false, 2, "within five seconds")
	now = now.Add(unknownFor + time.Millisecond)
	expect(true, 3, "created")
	now, away = now.Add(time.Hour), true
	expect(true, 4, "Kubernetes is away")
	expect(true, 4, "and is not asked by everybody")
	away, now = false, now.Add(clientsFor+time.Millisecond)
	if err := cluster.Delete(t.Context(), stored("a", "n", "")); err != nil {
		t.Fatal(err)
	}
	expect(false, 5, "deleted")
}

// TestBrokenSecretsStaySecret: a client that cannot be read hides no other,
// and what is in it is not logged.
func TestBrokenSecretsStaySecret(t *testing.T) {
	var logged bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&logged, nil)))
	defer slog.SetDefault(before)
	clients := &Clients{Namespace: "n", Now: time.Now, Reader: fake.NewClientBuilder().WithObjects(
		stored("broken", "n", "name: [\nsecret: hunter2"), stored("odd", "n", "secret: {hunter2: 1}"), stored("good", "n", "name: good\nsecret: x"),
	).Build()}
	if found, err := clients.Find(t.Context(), "good"); err != nil || found == nil {
		t.Errorf("got %v, %v", found, err)
	}
	if text := logged.String(); strings.Contains(text, "hunter2") || !strings.Contains(text, "secret=broken") || !strings.Contains(text, "secret=odd") {
		t.Errorf("logged: %s", text)
	}
}
