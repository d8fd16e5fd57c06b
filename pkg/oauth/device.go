package oauth

import (
	"crypto/sha256"
	"errors"
	"net/http"
	"net/url"
	"time"

	utilcache "k8s.io/apimachinery/pkg/util/cache"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/oauthclient"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/session"
)

// pollInterval is how often a device may ask (RFC 8628 §3.5).
const pollInterval = 5 * time.Second

// purposeDevice is what the token of the form for device codes is made for.
const purposeDevice = "device "

// DeviceReply is the answer to a device that wants to log in (RFC 8628 §3.2).
type DeviceReply struct {
	DeviceCode string `json:"device_code"`
	UserCode   string `json:"user_code"`
	// VerificationURI is where the user goes, and VerificationURIComplete the
	// same with the code filled in.
	VerificationURI         string `json:"verification_uri"`
	VerificationURIComplete string `json:"verification_uri_complete"`
	// ExpiresIn and Interval are in seconds.
	ExpiresIn int64 `json:"expires_in"`
	Interval  int64 `json:"interval"`
}

// Polls remembers which device codes were asked for a moment ago. Every replica
// has its own: a device that is served by several may ask a little more often.
type Polls struct{ recent *utilcache.LRUExpireCache }

// NewPolls returns a memory of device codes.
func NewPolls() *Polls { return &Polls{recent: utilcache.NewLRUExpireCache(4096)} }

// tooEarly notes that a code was asked for and reports whether it was just before.
func (p *Polls) tooEarly(code string) bool {
	if p == nil {
		return false
	}
	digest := sha256.Sum256([]byte(code))
	_, found := p.recent.Get(digest)
	p.recent.Add(digest, true, pollInterval-time.Second) // clocks and networks are not exact
	return found
}

// authorizeDevice serves POST /oauth/device_authorization.
func (h *Handler) authorizeDevice(w http.ResponseWriter, r *http.Request) error {
	reply, err := h.newDevice(w, r)
	return answer(w, r, reply, err)
}

func (h *Handler) newDevice(w http.ResponseWriter, r *http.Request) (*DeviceReply, error) {
	form, err := readForm(w, r)
	if err != nil {
		return nil, err
	}
	c, err := h.authenticateClient(r, form)
	if err != nil {
		return nil, err
	}
	if c.Grants() == config.GrantDeny {
		return nil, unauthorizedClient("the client may not act for users")
	}
	scopes, err := scopesOf(form.Get("scope"), c)
	if err != nil {
		return nil, err
	}
	if !h.Devices.take(r.Context(), request.ClientAddress(r)) {
		return nil, &Error{Code: "temporarily_unavailable", Description: "too many devices at the moment", Status: http.StatusTooManyRequests, RetryAfter: 5}
	}
	deviceCode, userCode, err := h.Sessions.StartDevice(r.Context(), h.login(r, c, scopes))
	if err != nil {
		return nil, err
	}
	page := h.pageURL(r, "/oauth/device")
	return &DeviceReply{
		DeviceCode: deviceCode, UserCode: userCode, VerificationURI: page, VerificationURIComplete: page + "?" + url.Values{"user_code": {userCode}}.Encode(),
		ExpiresIn: int64(session.DeviceLifetime.Seconds()), Interval: int64(pollInterval.Seconds()),
	}, nil
}

// deviceGrant exchanges the code of a device whose user approved it (RFC 8628 §3.4).
type deviceGrant struct{ *Handler }

func (deviceGrant) public() bool { return true }

func (h deviceGrant) run(r *http.Request, form url.Values, c *oauthclient.Client) (issued, error) {
	code := form.Get("device_code")
	if h.Polls.tooEarly(code) {
		return issued{}, &Error{Code: "slow_down", Description: "ask every 5 seconds", Status: http.StatusBadRequest}
	}
	var user *iamv1alpha2.User
	created, refreshToken, err := h.Sessions.RedeemDevice(r.Context(), code, h.login(r, c, nil), h.readUser(r.Context(), &user))
	switch {
	case errors.Is(err, session.ErrEnded):
		return issued{}, &Error{Code: "expired_token", Description: "the device code is expired", Status: http.StatusBadRequest}
	case errors.Is(err, session.ErrInvalid):
		return issued{}, invalidGrant("the device code is invalid")
	case err != nil:
		return issued{}, err
	}
	given, err := h.active(r.Context(), created, refreshToken, user)
	if err != nil {
		return issued{}, err
	}
	return given, h.began(r.Context(), created)
}

// devicePage serves GET and POST /oauth/device: a user types the code of a
// device, sees what it is, and decides.
func (h *Handler) devicePage(w http.ResponseWriter, r *http.Request) error {
	values, err := parameters(w, r)
	if err != nil {
		return h.refusePage(w, r, err)
	}
	code := values.Get("user_code")
	browser, err := h.browser(r)
	if err != nil {
		return h.refusePage(w, r, err)
	}
	if browser == nil {
		continued := "device?" + url.Values{"user_code": {code}}.Encode()
		h.redirect(w, r, h.path("/oauth/login")+"?"+url.Values{"continue": {continued}}.Encode())
		return nil
	}
	ask := func(code, problem string) error {
		status := http.StatusOK
		if problem != "" {
			status = http.StatusBadRequest
		}
		return h.show(w, page{code: status, title: "Connect a device", problem: problem, body: "code", data: map[string]any{
			"Action": h.path("/oauth/device"), "Token": h.beginVisit(w, r, purposeDevice+browser.Name), "Code": code,
		}})
	}
	if r.Method != http.MethodPost {
		return ask(code, "")
	}
	if !h.sameVisit(r, values, purposeDevice+browser.Name) {
		return h.refusePage(w, r, errVisit())
	}
	device, err := h.Sessions.Device(r.Context(), code)
	switch {
	case errors.Is(err, session.ErrInvalid), errors.Is(err, session.ErrEnded), errors.Is(err, session.ErrDecided):
		return ask(code, "This code is unknown, expired or used. Look at your device again.")
	case err != nil:
		return h.refusePage(w, r, err)
	}
	user, err := h.browserUser(r.Context(), browser)
	if err != nil {
		return h.refusePage(w, r, err)
	}
	decision := values.Get("decision")
	if decision == "" {
		return h.show(w, page{title: "Connect this device?", body: "device", data: map[string]any{
			"Action": h.path("/oauth/device"), "Token": h.beginVisit(w, r, purposeDevice+browser.Name), "Code": code, "User": user.Name,
			"Client": device.Spec.Client, "Address": device.Spec.Address, "Agent": device.Spec.UserAgent, "Scopes": describe(device.Spec.Scopes),
		}})
	}
	approve := decision == "allow"
	if err := h.Sessions.Decide(r.Context(), device, browser, approve); err != nil {
		if errors.Is(err, session.ErrDecided) {
			return ask("", "This code is unknown, expired or used. Look at your device again.")
		}
		return h.refusePage(w, r, err)
	}
	title, text := "Device connected", "You can close this page and go on at your device."
	if !approve {
		title, text = "Device not connected", "The device got nothing. You can close this page."
	}
	return h.show(w, page{title: title, body: "message", data: map[string]any{"Text": text}})
}
