package iam

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
)

// Login is an attempt to log in.
type Login struct {
	// User is the name the attempt was made with.
	User string
	// Type is how: Token for the token endpoint.
	Type string
	// Provider is the identity provider that said who it is, empty for a password here.
	Provider  string
	SourceIP  string
	UserAgent string
	Success   bool
}

// Records writes login records, after the answer to the login: neither does a
// login wait for them, nor does the time it takes tell which users there are.
// Failures that come fast share a record, which says how many they are.
type Records struct {
	Client   client.Client
	Accounts interface {
		Account(ctx context.Context, name string) (Account, bool, error)
		NameByEmail(ctx context.Context, email string) (string, bool)
	}
	Now func() time.Time

	mu   sync.Mutex
	open map[string]*series // by user and address
	wake chan struct{}
}

// series are the attempts of a user from an address that are not written yet.
type series struct {
	runs    []run
	written time.Time // when the last record of a failure was
}

// run are attempts with the same outcome, one after the other.
type run struct {
	Login
	count int
}

// Who guesses passwords must not fill the store: of the failures from an
// address for a user one record is written in a while. From more addresses than
// can be kept apart, they are written as from no address.
const (
	failureEvery   = 10 * time.Second
	openSeries     = 4096
	runsPerSeries  = 16
	longestAgent   = 512
	recordsAtEnd   = 2 * time.Second
	recordsRetried = time.Second
)

// NewRecords returns a recorder. It writes nothing before Run is called.
func NewRecords(c client.Client, directory *Directory) *Records {
	return &Records{Client: c, Accounts: directory, Now: time.Now, open: make(map[string]*series), wake: make(chan struct{}, 1)}
}

// Record notes an attempt of a user who exists; others have no records.
func (r *Records) Record(ctx context.Context, login Login) {
	if strings.Contains(login.User, "@") {
		login.User, _ = r.Accounts.NameByEmail(ctx, login.User)
	}
	account, found, err := r.Accounts.Account(ctx, login.User)
	if err != nil || !found {
		return
	}
	login.User = account.Name
	r.mu.Lock()
	defer r.mu.Unlock()
	key := login.User + "\x00" + login.SourceIP
	if r.open[key] == nil && len(r.open) >= openSeries {
		login.SourceIP, login.UserAgent = "", ""
		key = login.User + "\x00"
	}
	s := r.open[key]
	if s == nil {
		s = &series{}
		r.open[key] = s
	}
	last := len(s.runs) - 1
	if last >= 0 && (s.runs[last].Success == login.Success || len(s.runs) >= runsPerSeries) {
		// In an overlong series the outcome that counts is failure.
		login.Success = login.Success && s.runs[last].Success
		s.runs[last] = run{Login: login, count: s.runs[last].count + 1}
	} else {
		s.runs = append(s.runs, run{Login: login, count: 1})
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run writes what was noted until the context ends, and then what is left.
func (r *Records) Run(ctx context.Context) {
	ticker := time.NewTicker(recordsRetried)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordsAtEnd)
			defer cancel()
			r.flush(last, true)
			return
		case <-r.wake:
		case <-ticker.C:
		}
		r.flush(ctx, false)
	}
}

// flush writes the series whose time has come, or all.
func (r *Records) flush(ctx context.Context, all bool) {
	for key, runs := range r.due(all) {
		for n := range runs {
			if err := r.write(ctx, &runs[n]); err != nil {
				slog.WarnContext(ctx, "a login is not recorded yet", "user", runs[n].User, "error", err)
				r.putBack(key, runs[n:])
				break
			}
		}
	}
}

// due takes the runs out that are to be written now.
func (r *Records) due(all bool) map[string][]run {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, due := r.Now(), make(map[string][]run)
	for key, s := range r.open {
		waits := now.Sub(s.written) < failureEvery
		switch {
		case len(s.runs) == 0:
			if !waits {
				delete(r.open, key)
			}
		case all || !waits || s.runs[len(s.runs)-1].Success:
			due[key] = s.runs
			if slices.ContainsFunc(s.runs, func(r run) bool { return !r.Success }) {
				s.written = now // a failure after a success is news
			}
			s.runs = nil
		}
	}
	return due
}

// putBack keeps runs that could not be written, before those that came since.
func (r *Records) putBack(key string, runs []run) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.open[key]
	if s == nil {
		s = &series{written: r.Now()}
		r.open[key] = s
	}
	s.runs = append(runs, s.runs...)
}

// write creates the record of a run.
func (r *Records) write(ctx context.Context, one *run) error {
	reason := "authenticated successfully"
	annotations := map[string]string(nil)
	if !one.Success {
		reason = "incorrect password"
		if one.count > 1 {
			annotations = map[string]string{iamv1alpha2.AnnotationAttempts: strconv.Itoa(one.count)}
		}
	}
	return r.Client.Create(ctx, &iamv1alpha2.LoginRecord{
		ObjectMeta: metav1.ObjectMeta{GenerateName: one.User + "-", Labels: map[string]string{iamv1alpha2.LabelUserReference: one.User}, Annotations: annotations},
		Spec: iamv1alpha2.LoginRecordSpec{
			Type: one.Type, Provider: one.Provider, SourceIP: one.SourceIP, UserAgent: one.UserAgent[:min(len(one.UserAgent), longestAgent)],
			Success: one.Success, Reason: reason,
		},
	})
}
