package browser

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// The operation that is tried out.
const (
	method   = "get"
	path     = "/kapis/resources.kubesphere.io/v1alpha3/{resources}"
	resource = "nodes"
)

// stepTimeout ends a step that waits for something that never shows.
const stepTimeout = time.Minute

// Parts of Swagger UI's page.
const (
	authorizeButton chromedp.CSS = `.auth-wrapper .btn.authorize`
	dialog          chromedp.CSS = `.modal-ux`
	// The form of the OAuth2 password flow; each way to authorise has its own.
	oauthForm chromedp.CSS = `.auth-container:has(#oauth_username)`
	operation chromedp.CSS = `.opblock-` + method + `:has([data-path="` + path + `"])`
	response               = operation + ` .live-responses-table .response`
)

// TestSwaggerUI logs in, calls an operation, and reads the answer.
func TestSwaggerUI(t *testing.T) {
	server := serverURL(t)
	username, password := setting(t, "KS_USERNAME"), setting(t, "KS_PASSWORD")
	tab := openTab(t)
	complaints := watch(t, tab, server)

	step(t, tab, "open the page", complaints,
		chromedp.Navigate(server.JoinPath("/swagger-ui/").String()),
		chromedp.WaitVisible(authorizeButton))

	step(t, tab, "log in", complaints,
		chromedp.Click(authorizeButton),
		chromedp.WaitVisible(oauthForm),
		chromedp.SendKeys(chromedp.CSS(`#oauth_username`), username),
		chromedp.SendKeys(chromedp.CSS(`#oauth_password`), password),
		chromedp.SendKeys(chromedp.CSS(`#client_id_password`), "kubesphere"),
		chromedp.SendKeys(chromedp.CSS(`#client_secret_password`), "kubesphere"),
		chromedp.Click(oauthForm+` .auth-btn-wrapper .btn.authorize`),
		// The form turns into a summary when the server has given a token.
		chromedp.WaitNotPresent(chromedp.CSS(`#oauth_password`)),
		chromedp.Click(dialog+` .btn-done`),
		chromedp.WaitNotPresent(dialog))

	step(t, tab, "find "+path, complaints,
		openSections(),
		chromedp.ScrollIntoView(operation),
		chromedp.Click(operation+` .opblock-summary-path`),
		chromedp.WaitVisible(operation+` .try-out__btn`))

	step(t, tab, "execute it", complaints,
		chromedp.Click(operation+` .try-out__btn`),
		chromedp.SendKeys(operation+` tr[data-param-name="resources"] input`, resource),
		chromedp.Click(operation+` .btn.execute`),
		chromedp.WaitVisible(response))

	status := read(t, tab, response+` .response-col_status`)
	if strings.TrimSpace(status) != "200" {
		t.Errorf("status: got %q, want 200", status)
	}
	if body := read(t, tab, response+` .response-col_description`); !strings.Contains(body, `"totalItems"`) {
		t.Errorf("no totalItems in the response shown:\n%.2000s", body)
	}
	if file := os.Getenv("KS_SCREENSHOT"); file != "" {
		takeScreenshot(t, tab, file)
	}
	for _, complaint := range complaints.all() {
		t.Error(complaint)
	}
}

// step does actions; when they fail or hang, it says what the page showed.
func step(t *testing.T, tab context.Context, name string, c *complaints, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	start := time.Now()
	ctx, cancel := context.WithTimeout(tab, stepTimeout)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		text, textErr := chromedp.Run(tab, chromedp.Evaluate[string](`document.body.innerText`))
		if textErr != nil {
			text = textErr.Error()
		}
		t.Fatalf("%s: %v\ncomplaints: %q\nthe page shows:\n%.3000s", name, err, c.all(), text)
	}
	t.Logf("%s: %s", name, time.Since(start).Round(time.Millisecond))
}

// read returns the text the page shows at the first match.
func read(t *testing.T, tab context.Context, where chromedp.CSS) string {
	t.Helper()
	text, err := chromedp.Run(tab, chromedp.Text(where))
	if err != nil {
		t.Fatalf("read %s: %v", where, err)
	}
	return text
}

// openSections shows the operations of every section; which are open at first is
// a setting of the page.
func openSections() chromedp.Action[chromedp.Void] {
	return chromedp.Evaluate[chromedp.Void](
		`document.querySelectorAll('.opblock-tag[data-is-open="false"]').forEach(section => section.click())`)
}

// takeScreenshot writes a picture of the answer; the operation's many parameters
// above it would leave no room.
func takeScreenshot(t *testing.T, tab context.Context, file string) {
	t.Helper()
	// The curl command shown has the token of this login; pictures are published.
	prepare := fmt.Sprintf(`{
		const operation = document.querySelector(%q);
		const texts = document.createTreeWalker(operation, NodeFilter.SHOW_TEXT);
		while (texts.nextNode()) {
			texts.currentNode.data = texts.currentNode.data.replace(/Bearer [\w.-]+/g, 'Bearer ...');
		}
		operation.querySelector('.btn.execute').scrollIntoView();
	}`, operation)
	if err := chromedp.Do(tab, chromedp.Evaluate[chromedp.Void](prepare)); err != nil {
		t.Fatalf("prepare the screenshot: %v", err)
	}
	picture, err := chromedp.Run(tab, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatalf("take the screenshot: %v", err)
	}
	if err := os.WriteFile(file, picture, 0o644); err != nil {
		t.Fatal(err)
	}
}

func serverURL(t *testing.T) *url.URL {
	t.Helper()
	server, err := url.Parse(setting(t, "KS_APISERVER_URL"))
	if err != nil || server.Host == "" {
		t.Fatalf("KS_APISERVER_URL is not a URL with a host: %v", err)
	}
	return server
}

// setting is an environment variable that has to be set.
func setting(t *testing.T, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("%s is not set", name)
	}
	return value
}
