package platform

import (
	"net/http"
	"runtime"

	"k8s.io/apimachinery/pkg/version"

	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// Version describes this server and the Kubernetes behind it.
type Version struct {
	// GitVersion is the version of the KubeSphere API that is served.
	GitVersion   string `json:"gitVersion"`
	GitMajor     string `json:"gitMajor"`
	GitMinor     string `json:"gitMinor"`
	GitCommit    string `json:"gitCommit"`
	GitTreeState string `json:"gitTreeState"`
	BuildDate    string `json:"buildDate"`
	GoVersion    string `json:"goVersion"`
	Compiler     string `json:"compiler"`
	Platform     string `json:"platform"`
	// Kubernetes is absent while kube-apiserver has never answered.
	Kubernetes *version.Info `json:"kubernetes,omitempty"`
}

// Features are names of features with whether they are enabled.
type Features map[string]bool

// Handler serves version and configuration.
type Handler struct {
	Config *config.Config
	// Build is set when the binary is built.
	Build Version
	// Kubernetes returns the version of kube-apiserver, nil when not known.
	Kubernetes func() *version.Info
	// Providers are the identity providers there are now.
	Providers identity.Providers
	// Themes keeps what consoles look like.
	Themes *Themes
}

// Group declares the operations.
func (h *Handler) Group() route.Group {
	versions := []route.Response{{Code: http.StatusOK, Description: "The versions.", Model: Version{}}}
	return route.Group{
		Prefix: "/", Tag: "Platform", Description: "Version and features of the platform.",
		Routes: append(h.themeRoutes(), []route.Route{
			{Method: http.MethodGet, Path: "/version", ID: "getVersion", Public: true, Summary: "Version of the platform and of Kubernetes", Responses: versions, Handler: h.version},
			{Method: http.MethodGet, Path: "/kapis/version", ID: "getKapisVersion", Public: true, Summary: "Version of the platform and of Kubernetes", Responses: versions, Handler: h.version},
			{
				Method: http.MethodGet, Path: "/kapis/config.kubesphere.io/v1alpha2/configs/configz", ID: "getConfigz", Public: true,
				Summary: "Which features are enabled", Handler: h.configz,
				Responses: []route.Response{{Code: http.StatusOK, Description: "Feature names with whether they are enabled.", Model: Features{}}},
			},
			{
				Method: http.MethodGet, Path: "/kapis/config.kubesphere.io/v1alpha2/configs/gpu/kinds", ID: "listGPUKinds", Public: true,
				Summary: "Which kinds of graphics processors there are", Handler: h.gpuKinds,
				Responses: []route.Response{{Code: http.StatusOK, Description: "The kinds.", Model: []config.GPUKind{}}},
			},
			h.oauthRoute(),
		}...),
	}
}

func (h *Handler) version(w http.ResponseWriter, _ *http.Request) error {
	answer := h.Build
	answer.GoVersion, answer.Compiler, answer.Platform = runtime.Version(), runtime.Compiler, runtime.GOOS+"/"+runtime.GOARCH
	answer.Kubernetes = h.Kubernetes()
	status.WriteJSON(w, http.StatusOK, answer)
	return nil
}

// configz names what this server really serves: a feature whose section is
// configured but which nothing here answers is not enabled.
func (h *Handler) configz(w http.ResponseWriter, _ *http.Request) error {
	status.WriteJSON(w, http.StatusOK, Features{"multicluster": h.Config.Multicluster.Enable, "network": h.Config.Network.EnableNetworkPolicy})
	return nil
}

// gpuKinds answers with an empty list where there are none; KubeSphere answers
// null.
func (h *Handler) gpuKinds(w http.ResponseWriter, _ *http.Request) error {
	status.WriteJSON(w, http.StatusOK, append([]config.GPUKind{}, h.Config.GPU.Kinds...))
	return nil
}
