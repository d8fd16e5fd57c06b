package platform

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

const (
	themeName = "ks-console-theme"
	themeKey  = "theme.json"
	// themeLast is how long the theme is believed: everybody may ask for it.
	themeLast = 5 * time.Second
	// themeMost bounds its size, in bytes; pictures are in it.
	themeMost = 512 << 10
)

// Themes keeps what consoles look like, in a ConfigMap.
type Themes struct {
	// Client acts as the user of the context.
	Client client.Client
	Now    func() time.Time

	mu    sync.Mutex
	known route.Object
	read  time.Time
}

func (t *Themes) key() client.ObjectKey {
	return client.ObjectKey{Namespace: kube.Namespace, Name: themeName}
}

// get returns the theme. While Kubernetes is away it is the one that was known:
// people can still log in then.
func (t *Themes) get(ctx context.Context) route.Object {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known != nil && t.Now().Sub(t.read) < themeLast {
		return t.known
	}
	stored, theme := &corev1.ConfigMap{}, route.Object{}
	err := t.Client.Get(kube.AsServer(ctx), t.key(), stored)
	if err == nil {
		err = json.Unmarshal([]byte(stored.Data[themeKey]), &theme)
	}
	if err != nil && !apierrors.IsNotFound(err) {
		slog.WarnContext(ctx, "the theme of consoles cannot be read", "error", err)
		if theme = t.known; theme == nil {
			return route.Object{}
		}
	}
	t.known, t.read = theme, t.Now()
	return theme
}

// put replaces the theme. It is in a namespace in which its readers have no rights.
func (t *Themes) put(ctx context.Context, theme route.Object) error {
	ctx = kube.AsServer(ctx)
	content, err := json.Marshal(theme)
	if err != nil {
		return err
	}
	if len(content) > themeMost {
		return status.TooLarge(themeMost)
	}
	key := t.key()
	wanted := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}, Data: map[string]string{themeKey: string(content)}}
	err = t.Client.Create(ctx, wanted)
	if apierrors.IsAlreadyExists(err) {
		patch, failed := json.Marshal(map[string]any{"data": wanted.Data})
		if failed != nil {
			return failed
		}
		err = t.Client.Patch(ctx, wanted, client.RawPatch("application/merge-patch+json", patch))
	}
	if err != nil {
		return kube.Err(err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.known, t.read = theme, t.Now()
	return nil
}

func (h *Handler) themeRoutes() []route.Route {
	answer := []route.Response{{Code: http.StatusOK, Description: "The theme.", Model: route.Object{}}}
	const path = "/kapis/config.kubesphere.io/v1alpha2/configs/theme"
	return []route.Route{
		{
			Method: http.MethodGet, Path: path, ID: "getTheme", Public: true, Summary: "What consoles look like",
			Description: "An object whose fields are the console's; empty as long as nobody has set one.", Responses: answer, Handler: h.theme,
		},
		{Method: http.MethodPut, Path: path, ID: "setTheme", Summary: "Set what consoles look like", Body: route.Object{}, Responses: answer, Handler: h.setTheme},
	}
}

func (h *Handler) theme(w http.ResponseWriter, r *http.Request) error {
	status.WriteJSON(w, http.StatusOK, h.Themes.get(r.Context()))
	return nil
}

func (h *Handler) setTheme(w http.ResponseWriter, r *http.Request) error {
	var theme route.Object
	if err := route.ReadJSON(r, &theme); err != nil {
		return err
	}
	if theme == nil {
		return status.BadRequest("the theme must be an object")
	}
	if err := h.Themes.put(r.Context(), theme); err != nil {
		return err
	}
	status.WriteJSON(w, http.StatusOK, theme)
	return nil
}
