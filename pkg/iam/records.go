package iam

import (
	"context"
	"log/slog"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilcache "k8s.io/apimachinery/pkg/util/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
)

// Login is an attempt to log in.
type Login struct {
	// User is the name the attempt was made with.
	User string
	// Type is how: Token for the token endpoint.
	Type      string
	SourceIP  string
	UserAgent string
	Success   bool
}

// Records writes login records, after the answer to the login: neither does a
// login wait for them, nor does the time it takes tell which users there are.
type Records struct {
	Client   client.Client
	Accounts interface {
		Account(ctx context.Context, name string) (Account, bool, error)
	}
	queue    chan Login
	failures *utilcache.LRUExpireCache
}

// Who guesses passwords must not fill the store: of the failures from an
// address for a user, one in a while is recorded, and what comes faster than
// Kubernetes takes it is dropped.
const (
	recordsWaiting    = 256
	recordsRemembered = 4096
	failureEvery      = 10 * time.Second
	longestAgent      = 512
)

// NewRecords returns a recorder. It writes nothing before Run is called.
func NewRecords(c client.Client, directory *Directory) *Records {
	return &Records{Client: c, Accounts: directory, queue: make(chan Login, recordsWaiting), failures: utilcache.NewLRUExpireCache(recordsRemembered)}
}

// Record notes an attempt.
func (r *Records) Record(login Login) {
	if !login.Success {
		key := login.User + "\x00" + login.SourceIP
		if _, noted := r.failures.Get(key); noted {
			return
		}
		r.failures.Add(key, true, failureEvery)
	}
	select {
	case r.queue <- login:
	default:
	}
}

// Run writes what was noted until the context ends.
func (r *Records) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case login := <-r.queue:
			if err := r.write(ctx, login); err != nil {
				slog.WarnContext(ctx, "a login is not recorded", "user", login.User, "error", err)
			}
		}
	}
}

// write creates the record of a user who exists.
func (r *Records) write(ctx context.Context, login Login) error {
	account, found, err := r.Accounts.Account(ctx, login.User)
	if err != nil || !found {
		return err
	}
	reason := "authenticated successfully"
	if !login.Success {
		reason = "incorrect password"
	}
	return r.Client.Create(ctx, &iamv1alpha2.LoginRecord{
		ObjectMeta: metav1.ObjectMeta{GenerateName: account.Name + "-", Labels: map[string]string{iamv1alpha2.LabelUserReference: account.Name}},
		Spec: iamv1alpha2.LoginRecordSpec{
			Type: login.Type, SourceIP: login.SourceIP, UserAgent: login.UserAgent[:min(len(login.UserAgent), longestAgent)], Success: login.Success, Reason: reason,
		},
	})
}
