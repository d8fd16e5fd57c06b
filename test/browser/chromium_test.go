package browser

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// testTimeout is for the whole visit: the page is 1.5 MB of JavaScript, and a
// machine that runs a cluster at the same time is slow.
const testTimeout = 3 * time.Minute

// findChromium returns the browser's path, or ends the test.
func findChromium(t *testing.T) string {
	t.Helper()
	names := []string{"chromium", "chromium-browser", "google-chrome"}
	if chosen := os.Getenv("CHROMIUM"); chosen != "" {
		names = []string{chosen}
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	message := "no browser found, tried " + strings.Join(names, ", ") +
		"; install chromium or set CHROMIUM to its path"
	if os.Getenv("KS_REQUIRE_BROWSER") == "1" {
		t.Fatal(message)
	}
	t.Skip(message)
	return ""
}

// openTab starts a browser with a profile of its own and returns the context of
// an empty tab, ended with the test.
func openTab(t *testing.T) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(findChromium(t)),
		// The sandbox needs rights that root in a container doesn't have; the
		// only page opened is our own.
		chromedp.NoSandbox,
		chromedp.DisableGPU,
		// Nothing but the page shall talk to the network.
		chromedp.Flag("disable-component-update", true),
		chromedp.WindowSize(1280, 1280),
	)
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	return ctx
}

// complaints collects what a person would only see with the developer tools open.
type complaints struct {
	mu    sync.Mutex
	lines []string
}

func (c *complaints) add(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lines = append(c.lines, fmt.Sprintf(format, args...))
}

// all returns the complaints so far.
func (c *complaints) all() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.lines...)
}

// watch records the tab's errors, and requests to anybody but the server: the
// page has to work where the Internet can't be reached, and to tell nobody.
// It starts the browser.
func watch(t *testing.T, tab context.Context, server *url.URL) *complaints {
	t.Helper()
	c := &complaints{}
	err := chromedp.Listen(tab, func(event any) {
		switch e := event.(type) {
		case *runtime.EventConsoleAPICalled:
			if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeAssert {
				var said []string
				for _, arg := range e.Args {
					said = append(said, strings.TrimSpace(string(arg.Value)+" "+arg.Description))
				}
				c.add("console.%s: %s", e.Type, strings.Join(said, " "))
			}
		case *runtime.EventExceptionThrown:
			details := e.ExceptionDetails
			c.add("exception: %s at %s:%d", details.Text, details.URL, details.LineNumber)
			if details.Exception != nil {
				c.add("exception: %s", details.Exception.Description)
			}
		case *log.EventEntryAdded:
			if e.Entry.Level == log.EntryLevelError {
				c.add("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL)
			}
		case *network.EventRequestWillBeSent:
			if target, err := url.Parse(e.Request.URL); err != nil || !sameServer(target, server) {
				c.add("request to somebody else: %s", e.Request.URL)
			}
		}
	})
	if err != nil {
		t.Fatalf("start the browser: %v", err)
	}
	return c
}

func sameServer(target, server *url.URL) bool {
	switch target.Scheme {
	case "data", "blob", "about":
		return true // never leaves the browser
	}
	return target.Scheme == server.Scheme && target.Host == server.Host
}
