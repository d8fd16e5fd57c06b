// Package browser tests the API's page the way a person meets it: in a browser.
//
// It needs a running server, named by KS_APISERVER_URL, and an account there,
// KS_USERNAME and KS_PASSWORD:
//
//	go test -C test/browser ./...
//
// The browser is $CHROMIUM, or the first of chromium, chromium-browser and
// google-chrome in PATH. Without one the test is skipped, unless
// KS_REQUIRE_BROWSER=1. KS_SCREENSHOT names a file for a picture of the end.
package browser
