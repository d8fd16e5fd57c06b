//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

const users = "/kapis/iam.kubesphere.io/v1alpha2/users"

// from claims an address, which counts where loopback is a trusted proxy.
func from(address string) option { return header("X-Forwarded-For", address) }

// TestP17BackoffOverReplicas: who guesses has to wait, at every replica and
// after a restart; nobody else does.
func TestP17BackoffOverReplicas(t *testing.T) {
	t.Parallel()
	admin := shared.as(t, "admin", adminPassword)
	admin.must(t, http.StatusOK, http.MethodPost, users, newUser("guessed", "platform-regular"))
	change := func(c *config.Config) {
		c.Authentication.AuthenticateRateLimiterMaxTries = 1
		c.Server.TrustedProxies = []string{"127.0.0.1"}
	}
	one, two := run(t, change), run(t, change)
	for _, i := range []*instance{one, two} {
		if err := i.waitReady(wait.Timeout); err != nil {
			t.Fatal(err)
		}
	}
	attempt := func(i *instance, password, address string) reply {
		return i.token(t, passwordForm("guessed", password), from(address))
	}
	if r := attempt(one, "wrong", "192.0.2.1"); r.code != http.StatusBadRequest {
		t.Fatalf("the first failure: %d %s", r.code, r.body)
	}
	// Three more, as fast as they may be, share a record, which the other
	// replica reads.
	for _, pause := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second} {
		time.Sleep(pause + 100*time.Millisecond)
		if r := attempt(one, "wrong", "192.0.2.1"); r.code != http.StatusBadRequest {
			t.Errorf("after %s: %d %s", pause, r.code, r.body)
		}
	}
	// Eight seconds now.
	refused := attempt(one, passwordOf("guessed"), "192.0.2.1")
	if after, err := strconv.Atoi(refused.header.Get("Retry-After")); refused.code != http.StatusTooManyRequests || err != nil || after < 1 || after > 8 || decode[tokens](t, refused).Error != "invalid_grant" {
		t.Errorf("the right password too soon: %d %v %s", refused.code, refused.header, refused.body)
	}
	basic := one.get(t, users+"/guessed", from("192.0.2.1"), func(r *http.Request) { r.SetBasicAuth("guessed", passwordOf("guessed")) })
	if basic.code != http.StatusTooManyRequests || basic.header.Get("Retry-After") == "" {
		t.Errorf("by HTTP Basic: %d %s", basic.code, basic.body)
	}
	if r := attempt(one, passwordOf("guessed"), "192.0.2.2"); r.code != http.StatusOK {
		t.Errorf("the user elsewhere: %d %s", r.code, r.body)
	}
	c := kubernetes(t, "")
	wait.Until(t, "all failures to be recorded", func() bool {
		records := &iamv1alpha2.LoginRecordList{}
		if err := c.List(t.Context(), records, client.MatchingLabels{iamv1alpha2.LabelUserReference: "guessed"}); err != nil {
			t.Fatal(err)
		}
		failures := 0
		for n := range records.Items {
			if count, _ := strconv.Atoi(records.Items[n].Annotations[iamv1alpha2.AnnotationAttempts]); !records.Items[n].Spec.Success {
				failures += max(1, count)
			}
		}
		return failures == 4
	})
	// A replica that knew only its own would come to as long a pause by the third.
	own := 0
	wait.For(t, "the other replica to know the failures", func() error {
		r := attempt(two, "wrong", "192.0.2.1")
		if r.code == http.StatusBadRequest {
			own++
		}
		if after, err := strconv.Atoi(r.header.Get("Retry-After")); r.code != http.StatusTooManyRequests || err != nil || after <= 2 {
			return fmt.Errorf("%d, Retry-After %q", r.code, r.header.Get("Retry-After"))
		}
		return nil
	})
	if own > 2 {
		t.Errorf("the other replica counted %d failures of its own first", own)
	}
}

func TestPersonalAccessTokens(t *testing.T) {
	t.Parallel()
	admin := shared.as(t, "admin", adminPassword)
	admin.must(t, http.StatusOK, http.MethodPost, users, newUser("robot-owner", "platform-self-provisioner"))
	owner := shared.as(t, "robot-owner", passwordOf("robot-owner"))
	mine := users + "/robot-owner/tokens"
	create := func(scopes ...string) (name, token string) {
		t.Helper()
		made := decode[struct {
			Metadata struct{ Name string }
			Token    string
		}](t, owner.must(t, http.StatusCreated, http.MethodPost, mine, fields{"description": "CI", "scopes": scopes, "expiresInSeconds": 3600}))
		if !strings.HasPrefix(made.Token, "ksp_") {
			t.Fatalf("token %q", made.Token)
		}
		return made.Metadata.Name, made.Token
	}
	name, read := create("read")
	_, all := create("all")
	_, one := create("iam.kubesphere.io/users:get")
	for _, test := range []struct {
		name, token, method, path string
		code                      int
	}{
		{"read reads", read, http.MethodGet, users + "/robot-owner", 200},
		{"read through Kubernetes' API", read, http.MethodGet, "/api/v1/namespaces", 200},
		{"read writes nothing", read, http.MethodPost, "/kapis/tenant.kubesphere.io/v1alpha2/workspaces", 403},
		{"all is what the user may", all, http.MethodGet, users + "/robot-owner", 200},
		{"and no more", all, http.MethodGet, "/api/v1/nodes", 403},
		{"one resource", one, http.MethodGet, users + "/robot-owner", 200},
		{"not another", one, http.MethodGet, "/api/v1/namespaces", 403},
		{"no further tokens", all, http.MethodPost, mine, 403},
		{"no kubeconfig", all, http.MethodGet, "/kapis/resources.kubesphere.io/v1alpha2/users/robot-owner/kubeconfig", 403},
		{"a wrong one", read + "x", http.MethodGet, users + "/robot-owner", 401},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := shared.do(t, test.method, test.path, strings.NewReader("{}"), bearer(test.token), header("Content-Type", "application/json"))
			if r.code != test.code {
				t.Errorf("%d %s", r.code, r.body)
			}
		})
	}
	listed := owner.must(t, http.StatusOK, http.MethodGet, mine, nil)
	if got := decode[list](t, listed); *got.TotalItems != 3 || strings.Contains(string(listed.body), "tokenHash") {
		t.Errorf("listed %s", listed.body)
	}
	for _, body := range []fields{{"scopes": []string{}}, {"scopes": []string{"everything"}}, {"scopes": []string{"read"}, "expiresInSeconds": -1}, {"scopes": []string{"read"}, "expiresInSeconds": 1 << 40}} {
		owner.must(t, http.StatusUnprocessableEntity, http.MethodPost, mine, body)
	}
	// Not even administrators act as others that way.
	admin.must(t, http.StatusForbidden, http.MethodPost, mine, fields{"scopes": []string{"read"}})
	if r := admin.must(t, http.StatusOK, http.MethodGet, viewer+"/personalaccesstokens", nil); strings.Contains(string(r.body), "tokenHash") {
		t.Errorf("a hash is shown: %s", r.body)
	}
	owner.must(t, http.StatusOK, http.MethodDelete, mine+"/"+name, nil)
	wait.Until(t, "the revoked token to be refused", func() bool {
		return shared.get(t, users+"/robot-owner", bearer(read)).code == http.StatusUnauthorized
	})
	admin.must(t, http.StatusOK, http.MethodDelete, users+"/robot-owner", nil)
	wait.Until(t, "the token of the deleted user to be refused", func() bool {
		return shared.get(t, "/api/v1/namespaces", bearer(all)).code == http.StatusUnauthorized
	})
}

func TestOwnSessions(t *testing.T) {
	t.Parallel()
	admin := shared.as(t, "admin", adminPassword)
	for _, name := range []string{"session-owner", "session-other"} {
		admin.must(t, http.StatusOK, http.MethodPost, users, newUser(name, "platform-regular"))
	}
	here, there := shared.as(t, "session-owner", passwordOf("session-owner")), shared.as(t, "session-owner", passwordOf("session-owner"))
	other := shared.as(t, "session-other", passwordOf("session-other"))
	mine := users + "/session-owner/sessions"
	type sessions struct {
		Items []struct {
			Metadata struct {
				Name        string
				Annotations map[string]string
			}
			Spec map[string]any
		}
	}
	var elsewhere string
	wait.Until(t, "the sessions to be listed", func() bool {
		r := here.must(t, http.StatusOK, http.MethodGet, mine, nil)
		if strings.Contains(string(r.body), "Hash") {
			t.Fatalf("hashes are shown: %s", r.body)
		}
		current := 0
		all := decode[sessions](t, r)
		for _, one := range all.Items {
			if one.Metadata.Annotations["iam.kubesphere.io/current"] == "true" {
				current++
			} else {
				elsewhere = one.Metadata.Name
			}
		}
		return len(all.Items) == 2 && current == 1
	})
	other.must(t, http.StatusForbidden, http.MethodGet, mine, nil)
	other.must(t, http.StatusForbidden, http.MethodDelete, mine+"/"+elsewhere, nil)
	// Not by way of the own account either.
	other.must(t, http.StatusNotFound, http.MethodDelete, users+"/session-other/sessions/"+elsewhere, nil)
	here.must(t, http.StatusOK, http.MethodDelete, mine+"/"+elsewhere, nil)
	wait.Until(t, "the ended session to be refused", func() bool {
		return there.call(t, http.MethodGet, users+"/session-owner", nil).code == http.StatusUnauthorized
	})
	there = shared.as(t, "session-owner", passwordOf("session-owner"))
	here.must(t, http.StatusOK, http.MethodDelete, mine, nil)
	wait.Until(t, "all other sessions to be refused", func() bool {
		return there.call(t, http.MethodGet, users+"/session-owner", nil).code == http.StatusUnauthorized
	})
	here.must(t, http.StatusOK, http.MethodGet, users+"/session-owner", nil)
	admin.must(t, http.StatusOK, http.MethodDelete, mine, nil)
	wait.Until(t, "the session ended by the administrator to be refused", func() bool {
		return here.call(t, http.MethodGet, users+"/session-owner", nil).code == http.StatusUnauthorized
	})
}

// TestPasswordsUsersChoose: the policy holds wherever a password is set.
func TestPasswordsUsersChoose(t *testing.T) {
	t.Parallel()
	admin := shared.as(t, "admin", adminPassword)
	wanted := newUser("chooser", "platform-regular")
	wanted["spec"].(fields)["password"] = "password123"
	if r := admin.must(t, http.StatusUnprocessableEntity, http.MethodPost, users, wanted); strings.Contains(string(r.body), "password123") {
		t.Errorf("the password is quoted: %s", r.body)
	}
	admin.must(t, http.StatusOK, http.MethodPost, users, newUser("chooser", "platform-regular"))
	for _, password := range []string{"short", "password123", "chooser-chooser", "chooser@example.com"} {
		code := http.StatusUnprocessableEntity
		if password == "chooser-chooser" {
			code = http.StatusOK
		}
		admin.must(t, code, http.MethodPut, users+"/chooser/password", fields{"password": password})
	}
}

// TestEnforcedFirstChange: where it is configured, a new user can do nothing
// but choose a password.
func TestEnforcedFirstChange(t *testing.T) {
	t.Parallel()
	i := run(t, func(c *config.Config) {
		c.Authentication.PasswordPolicy.EnforceFirstChange = true
		c.Authentication.PasswordHash.Algorithm = config.HashArgon2id
	})
	if err := i.waitReady(wait.Timeout); err != nil {
		t.Fatal(err)
	}
	admin := shared.as(t, "admin", adminPassword)
	wanted := newUser("first-timer", "platform-self-provisioner")
	wanted["metadata"].(fields)["annotations"].(fields)["iam.kubesphere.io/uninitialized"] = "true"
	admin.must(t, http.StatusOK, http.MethodPost, users, wanted)
	new := i.as(t, "first-timer", passwordOf("first-timer"))
	new.must(t, http.StatusOK, http.MethodGet, users+"/first-timer", nil)
	if r := new.must(t, http.StatusForbidden, http.MethodGet, "/api/v1/namespaces", nil); !strings.Contains(string(r.body), "has to be changed first") {
		t.Errorf("refused with %s", r.body)
	}
	const chosen = "a password of my own"
	new.must(t, http.StatusOK, http.MethodPut, users+"/first-timer/password", fields{"currentPassword": passwordOf("first-timer"), "password": chosen})
	wait.Until(t, "the changed password to open the API", func() bool {
		return new.call(t, http.MethodGet, "/api/v1/namespaces", nil).code == http.StatusOK
	})
	// argon2id here, bcrypt there: both log in everywhere.
	for n, instance := range []*instance{i, shared} {
		if r := instance.token(t, passwordForm("first-timer", chosen)); r.code != http.StatusOK {
			t.Errorf("at %d: %s", n, fmt.Sprint(r.code, string(r.body)))
		}
	}
}
