package escalation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

// Names in the world. Those of the own workspace belong to the walker's users, the others
// to nobody who acts.
const (
	ownWorkspace     = "walk-own"
	foreignWorkspace = "walk-foreign"
	foreignProject   = "walk-foreign-1"
	foreignManager   = "walk-foreign-admin"
	// lentProject is a project of the foreign workspace in which some of the walker's users
	// have roles that let nobody give or change rights.
	lentProject = "walk-foreign-2"
	// lentWriter is the user who may label the lent project.
	lentWriter = "walk-lent-custom"
	// foreignGroup has no group object: bindings outside the own workspace name it.
	foreignGroup = "walk-others"
	// peopleRole is a global role of the template that manages users, and unmanaged one with
	// rights that it does not have: who has it cannot be deleted by who manages users.
	peopleRole = "walk-people"
	unmanaged  = "platform-self-provisioner"
)

var ownProjects = []string{"walk-own-1", "walk-own-2"}

// subject is a user in whose name requests are sent.
type subject struct {
	name, globalRole string
	// workspaceRole and projectRole are those in the own workspace and its first project, or
	// in the lent project.
	workspaceRole, projectRole string
	isLent                     bool // its projectRole is in the lent project
	// manages is the resource of the platform that the global role lets it write.
	manages string
	// writes are types that a role lets it write, and most others not.
	writes   []string
	powerful bool // sends more requests than others
	token    string
}

// project is where a subject has its role.
func (s *subject) project() string {
	if s.isLent {
		return lentProject
	}
	return ownProjects[0]
}

// subjects are users with each built-in role inside the own workspace, with roles of
// templates, and without any.
func subjects() []*subject {
	return []*subject{
		{name: "walk-none", globalRole: "platform-regular"},
		{name: "walk-self", powerful: true, globalRole: "platform-self-provisioner"},
		{name: "walk-admin", powerful: true, globalRole: "platform-regular", workspaceRole: ownWorkspace + "-admin"},
		{name: "walk-provisioner", globalRole: "platform-regular", workspaceRole: ownWorkspace + "-self-provisioner"},
		{name: "walk-regular", globalRole: "platform-regular", workspaceRole: ownWorkspace + "-regular"},
		{name: "walk-viewer", globalRole: "platform-regular", workspaceRole: ownWorkspace + "-viewer"},
		{name: "walk-p-admin", powerful: true, globalRole: "platform-regular", workspaceRole: ownWorkspace + "-regular", projectRole: "admin"},
		{name: "walk-p-operator", powerful: true, globalRole: "platform-regular", workspaceRole: ownWorkspace + "-regular", projectRole: "operator"},
		{name: "walk-p-viewer", globalRole: "platform-regular", workspaceRole: ownWorkspace + "-regular", projectRole: "viewer"},
		{name: "walk-p-custom", powerful: true, globalRole: "platform-regular", workspaceRole: ownWorkspace + "-regular", projectRole: "walk-custom"},
		{name: "walk-lent-operator", globalRole: unmanaged, projectRole: "operator", isLent: true},
		{name: lentWriter, powerful: true, globalRole: unmanaged, projectRole: "walk-lent", isLent: true, writes: []string{"namespaces", "configmaps"}},
		{name: "walk-people", powerful: true, globalRole: peopleRole, manages: "users", writes: []string{"users.iam.kubesphere.io"}},
	}
}

// Target is a running server and the cluster behind it.
type Target struct {
	// URL is the address of the server, such as http://127.0.0.1:9090.
	URL string
	// AdminPassword is the password of the user admin.
	AdminPassword string
	// Kubernetes has the rights of an administrator of the cluster, past the server.
	Kubernetes *rest.Config
}

// world is what a walk goes through.
type world struct {
	target     Target
	client     *http.Client
	dynamic    dynamic.Interface
	types      []resourceType
	operations []operation // of the server's own document
	// repaired is whether something was made again.
	repaired bool
	subjects []*subject
	admin    string            // token of the administrator
	canaries map[string]string // secret text to where it is
}

// resourceType is a type of Kubernetes' discovery.
type resourceType struct {
	schema.GroupVersionResource
	kind         string
	namespaced   bool
	listable     bool
	subresources []string
}

func newWorld(ctx context.Context, target Target) (*world, error) {
	w := &world{target: target, client: &http.Client{Timeout: 5 * time.Second}, subjects: subjects(), canaries: make(map[string]string)}
	w.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	config := rest.CopyConfig(target.Kubernetes)
	config.QPS = -1
	var err error
	if w.dynamic, err = dynamic.NewForConfig(config); err != nil {
		return nil, err
	}
	if err := w.discover(config); err != nil {
		return nil, err
	}
	if err := w.readOperations(ctx); err != nil {
		return nil, err
	}
	if _, err := w.repair(ctx); err != nil {
		return nil, err
	}
	return w, w.plantCanaries(ctx)
}

// discover reads which types there are, each in the version that is preferred.
func (w *world) discover(config *rest.Config) error {
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return err
	}
	groups, lists, err := client.ServerGroupsAndResources()
	if err != nil {
		return err
	}
	preferred := make(map[string]bool)
	for _, group := range groups {
		preferred[group.PreferredVersion.GroupVersion] = true
	}
	for _, list := range lists {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return err
		}
		parts := make(map[string][]string)
		for n := range list.APIResources {
			if resource, subresource, isPart := strings.Cut(list.APIResources[n].Name, "/"); isPart {
				parts[resource] = append(parts[resource], subresource)
			}
		}
		for n := range list.APIResources {
			one := &list.APIResources[n]
			// A group may keep a type in another version only.
			if strings.Contains(one.Name, "/") || !preferred[list.GroupVersion] && w.typeOf(version.Group, one.Name) != nil {
				continue
			}
			w.types = append(w.types, resourceType{
				GroupVersionResource: version.WithResource(one.Name), kind: one.Kind, namespaced: one.Namespaced,
				listable: slices.Contains(one.Verbs, "list"), subresources: parts[one.Name],
			})
		}
	}
	slices.SortFunc(w.types, func(a, b resourceType) int { return strings.Compare(a.String(), b.String()) })
	return nil
}

// typeOf returns a type, nil when there is none.
func (w *world) typeOf(group, resource string) *resourceType {
	for n := range w.types {
		if w.types[n].Group == group && w.types[n].Resource == resource {
			return &w.types[n]
		}
	}
	return nil
}

// call sends a request of the administrator and decodes the answer.
func (w *world) call(ctx context.Context, method, path string, body, into any, accepted ...int) error {
	return w.callAs(ctx, w.admin, method, path, body, into, accepted...)
}

func (w *world) callAs(ctx context.Context, token, method, path string, body, into any, accepted ...int) error {
	var reader io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		reader = strings.NewReader(string(text))
	}
	request, err := http.NewRequestWithContext(ctx, method, w.target.URL+path, reader)
	if err != nil {
		return err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := w.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	for _, code := range append(accepted, http.StatusOK, http.StatusCreated) {
		if response.StatusCode == code {
			if into == nil {
				return nil
			}
			return json.Unmarshal(text, into)
		}
	}
	if response.StatusCode == http.StatusUnauthorized {
		return fmt.Errorf("%s %s: %w", method, path, errUnauthorized)
	}
	return fmt.Errorf("%s %s: %d %.300s", method, path, response.StatusCode, text)
}

var errUnauthorized = errors.New("the session has ended")

// login returns an access token.
func (w *world) login(ctx context.Context, name, password string) (string, error) {
	form := url.Values{"grant_type": {"password"}, "username": {name}, "password": {password}, "client_id": {"kubesphere"}, "client_secret": {"kubesphere"}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.target.URL+"/oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := w.client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var got struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(response.Body).Decode(&got); err != nil {
		return "", err
	}
	if got.AccessToken == "" {
		return "", fmt.Errorf("login of %s: %d", name, response.StatusCode)
	}
	return got.AccessToken, nil
}

func passwordOf(name string) string { return "Passw0rd-" + name }
