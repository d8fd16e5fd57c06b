package browser

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// The application the user logs in to; the browser's words of RFC 7636
// appendix B.
const (
	client       = "browser-test"
	clientSecret = "a secret of the test"
	verifier     = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	challenge    = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

// Parts of our pages.
const (
	usernameInput chromedp.CSS = `#username`
	passwordInput chromedp.CSS = `#password`
	alert         chromedp.CSS = `[role="alert"]`
	allowButton   chromedp.CSS = `button[value="allow"]`
	welcome       chromedp.CSS = `#welcome`
)

// TestLogin: an application sends the browser to us, the user mistypes the
// password, logs in, agrees, and is back at the application, which gets tokens.
func TestLogin(t *testing.T) {
	server := serverURL(t)
	username, password := setting(t, "KS_USERNAME"), setting(t, "KS_PASSWORD")
	registerClient(t)
	returned := make(chan url.Values, 2)
	application := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/callback" {
			returned <- r.URL.Query()
		}
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(`<!doctype html><link rel="icon" href="data:,"><p id="welcome">welcome</p>`))
	}))
	defer application.Close()
	callback := application.URL + "/callback"
	authorize := server.JoinPath("/oauth/authorize")
	authorize.RawQuery = url.Values{"client_id": {client}, "response_type": {"code"}, "redirect_uri": {callback}, "scope": {"openid profile email"}, "state": {"the state"},
		"code_challenge": {challenge}, "code_challenge_method": {"S256"}}.Encode()
	knows(t, authorize)

	tab := openTab(t)
	complaints := watch(t, tab, server)
	step(t, tab, "come from an application", complaints,
		chromedp.Navigate(authorize.String()),
		chromedp.WaitVisible(passwordInput))
	accessible(t, tab)
	picture(t, tab, "login")
	step(t, tab, "mistype the password", complaints,
		chromedp.SendKeys(usernameInput, username),
		chromedp.SendKeys(passwordInput, "wrong\r"), // by the keyboard alone
		chromedp.WaitVisible(alert))
	if text := read(t, tab, alert); !strings.Contains(text, "Incorrect user name or password") {
		t.Errorf("it says %q", text)
	}
	accessible(t, tab)
	picture(t, tab, "mistyped")
	step(t, tab, "log in", complaints,
		chromedp.SendKeys(passwordInput, password+"\r"), // the name is still there
		chromedp.WaitVisible(allowButton))
	accessible(t, tab)
	picture(t, tab, "consent")
	step(t, tab, "agree", complaints,
		chromedp.Click(allowButton),
		chromedp.WaitVisible(welcome))
	answer := <-returned
	if answer.Get("state") != "the state" || answer.Get("code") == "" {
		t.Fatalf("returned with %v", answer)
	}
	exchange(t, server, callback, answer.Get("code"))

	step(t, tab, "come again", complaints, chromedp.Navigate(authorize.String()), chromedp.WaitVisible(welcome))
	if again := <-returned; again.Get("code") == "" {
		t.Errorf("the second time: %v", again)
	}
	device := connect(t, server)
	step(t, tab, "connect a device", complaints,
		chromedp.Navigate(server.JoinPath("/oauth/device").String()),
		chromedp.WaitVisible(chromedp.CSS(`#user_code`)),
		chromedp.SendKeys(chromedp.CSS(`#user_code`), device+"\r"),
		chromedp.WaitVisible(allowButton))
	accessible(t, tab)
	picture(t, tab, "device")
	step(t, tab, "approve it", complaints, chromedp.Click(allowButton), chromedp.WaitNotPresent(allowButton))
	step(t, tab, "log out", complaints,
		chromedp.Navigate(server.JoinPath("/oauth/logout").String()),
		chromedp.WaitVisible(chromedp.CSS(`button[type="submit"]`)),
		chromedp.Click(chromedp.CSS(`button[type="submit"]`)),
		chromedp.WaitNotPresent(chromedp.CSS(`button[type="submit"]`)))
	step(t, tab, "come once more", complaints, chromedp.Navigate(authorize.String()), chromedp.WaitVisible(passwordInput))
	for _, complaint := range complaints.all() {
		// The application is somebody else, and a wrong password a 401.
		if !strings.Contains(complaint, application.URL) && !strings.Contains(complaint, "401 (Unauthorized)") {
			t.Error(complaint)
		}
	}
}

// registerClient makes the application known, as an operator does.
func registerClient(t *testing.T) {
	t.Helper()
	configuration, err := json.Marshal(map[string]any{"name": client, "secret": clientSecret, "grantMethod": "prompt", "redirectURIs": []string{"http://127.0.0.1/callback"}})
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": "config.kubesphere.io/oauthclient", "stringData": map[string]string{"configuration.yaml": string(configuration)},
		"metadata": map[string]any{"name": "oauthclient-" + client, "namespace": "kubesphere-system", "labels": map[string]string{"config.kubesphere.io/type": "oauthclient"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "../../bin/kubectl", "apply", "-f", "-")
	command.Stdin = bytes.NewReader(manifest)
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
}

// knows waits until the server knows a client: it reads them every five seconds.
func knows(t *testing.T, authorize *url.URL) {
	t.Helper()
	wait.For(t, "the client to be known", func() error {
		response, err := http.Get(authorize.String())
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode != http.StatusOK {
			return errors.New(response.Status)
		}
		return nil
	})
}

// send posts a form of the application and returns the answer.
func send(t *testing.T, to *url.URL, fields url.Values) map[string]any {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, to.String(), strings.NewReader(fields.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(client, url.QueryEscape(clientSecret))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var answer map[string]any
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%d %v, %v", response.StatusCode, answer, err)
	}
	return answer
}

func exchange(t *testing.T, server *url.URL, callback, code string) {
	t.Helper()
	tokens := send(t, server.JoinPath("/oauth/token"), url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}})
	if tokens["access_token"] == "" || tokens["id_token"] == nil {
		t.Errorf("tokens %v", tokens)
	}
}

// connect begins the login of a device and returns the code it shows.
func connect(t *testing.T, server *url.URL) string {
	t.Helper()
	code, _ := send(t, server.JoinPath("/oauth/device_authorization"), url.Values{"scope": {"openid"}})["user_code"].(string)
	return code
}

// accessible fails for what a person who cannot see or use a mouse would miss.
func accessible(t *testing.T, tab context.Context) {
	t.Helper()
	const look = `(() => {
		const problems = [];
		const all = selector => [...document.querySelectorAll(selector)];
		if (!document.documentElement.lang) problems.push('no language');
		if (!document.title) problems.push('no title');
		if (all('h1').length !== 1) problems.push('not one h1');
		if (all('main').length !== 1) problems.push('not one main');
		for (const e of all('input:not([type=hidden]), select')) if (!e.labels.length) problems.push('no label: ' + e.name);
		for (const e of all('button, a')) if (!e.innerText.trim()) problems.push('no name: ' + e.outerHTML);
		for (const e of all('svg')) if (e.getAttribute('aria-hidden') !== 'true') problems.push('a picture without a name');
		const luminance = rgb => { const [r, g, b] = rgb.map(v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
		const colour = text => text.match(/[\d.]+/g).map(Number);
		const behind = e => { for (; e; e = e.parentElement) { const c = colour(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] === 1) return c.slice(0, 3); } return [255, 255, 255]; };
		for (const e of all('h1, p, label, input:not([type=hidden]), select, button, a, li, dt, dd, footer')) {
			if (!e.innerText && !e.value) continue;
			const [a, b] = [luminance(colour(getComputedStyle(e).color).slice(0, 3)), luminance(behind(e))].sort((x, y) => y - x);
			const contrast = (a + .05) / (b + .05);
			if (contrast < 4.5) problems.push('contrast ' + contrast.toFixed(2) + ': ' + e.outerHTML.slice(0, 60));
			if (e.matches('input, select, button, a.button') && e.getBoundingClientRect().height < 44) problems.push('small: ' + e.outerHTML.slice(0, 60));
		}
		if (document.documentElement.scrollWidth > innerWidth) problems.push('scrolls sideways');
		return problems.join('\n');
	})()`
	problems, err := chromedp.Run(tab, chromedp.Evaluate[string](look))
	if err != nil {
		t.Fatal(err)
	}
	if problems != "" {
		t.Error(problems)
	}
}

// picture writes what the tab shows to the directory of KS_SCREENSHOTS, if set.
func picture(t *testing.T, tab context.Context, name string) {
	t.Helper()
	dir := os.Getenv("KS_SCREENSHOTS")
	if dir == "" {
		return
	}
	content, err := chromedp.Run(tab, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), content, 0o600); err != nil {
		t.Fatal(err)
	}
}
