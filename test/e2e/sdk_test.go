//go:build e2e

package e2e

import (
	"context"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/super-kubenetes/ks-apiserver/test/sdk"
)

// A client generated from our document logs in and lists nodes.
func TestGeneratedClient(t *testing.T) {
	t.Parallel()
	client, err := sdk.NewClientWithResponses(shared.url)
	if err != nil {
		t.Fatal(err)
	}
	text := func(s string) *string { return &s }
	login, err := client.CreateTokenWithFormdataBodyWithResponse(t.Context(), sdk.CreateTokenFormdataRequestBody{
		GrantType: "password", Username: text("admin"), Password: text(adminPassword), ClientId: text("kubesphere"), ClientSecret: text("kubesphere"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if login.JSON200 == nil {
		t.Fatalf("login: %s %s", login.Status(), login.Body)
	}
	authorize := func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+login.JSON200.AccessToken)
		return nil
	}
	limit := int(2)
	nodes, err := client.ListResourcesWithResponse(t.Context(), "nodes", &sdk.ListResourcesParams{Limit: &limit}, authorize)
	if err != nil {
		t.Fatal(err)
	}
	if nodes.JSON200 == nil || len(nodes.JSON200.Items) != 2 || nodes.JSON200.TotalItems != 3 {
		t.Errorf("nodes: %s %.300s", nodes.Status(), nodes.Body)
	}
	denied, err := client.ListResourcesWithResponse(t.Context(), "nodes", nil)
	if err != nil {
		t.Fatal(err)
	}
	if denied.JSON401 == nil || *denied.JSON401.Reason != "Unauthorized" {
		t.Errorf("without a token: %s %s", denied.Status(), denied.Body)
	}
}

// What is served is what is in the repository.
func TestDocumentsServed(t *testing.T) {
	t.Parallel()
	for path, file := range map[string]string{
		"/apidocs.json": "ks-openapi-spec/swagger.json", "/openapi/v2": "ks-openapi-spec/swagger.json",
		"/openapi/v3/kapis": "ks-openapi-spec/openapi.json", "/apidocs-crds.json": "openapi-spec/swagger.json",
	} {
		want, err := os.ReadFile("../../api/" + file)
		if err != nil {
			t.Fatal(err)
		}
		if r := shared.get(t, path); r.code != 200 || string(r.body) != string(want) || r.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s is not %s: status %d, %d bytes, want %d", path, file, r.code, len(r.body), len(want))
		}
	}
	page := shared.get(t, "/swagger-ui/")
	if page.code != 200 || !strings.Contains(page.header.Get("Content-Security-Policy"), "default-src 'self'") || !strings.Contains(string(page.body), "/apidocs.json") {
		t.Errorf("swagger ui: %d %v", page.code, page.header)
	}
}
