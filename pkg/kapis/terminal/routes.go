package terminal

import (
	"net/http"

	"github.com/super-kubenetes/ks-apiserver/pkg/route"
)

// Groups declare the operations.
func (h *Handler) Groups() []route.Group {
	user := inPath("user", "Name of the user, who has to be the caller.")
	pod := route.Route{
		Method: http.MethodGet, Path: "/users/{user}/kubectl", ID: "getKubectlPod", Summary: "Get a pod to run kubectl in",
		Description: "Makes it when there is none. A terminal in the pod has the rights of the user, for whom alone it is.",
		Parameters:  []route.Parameter{user},
		Responses:   []route.Response{{Code: http.StatusOK, Description: "Where the terminal can be opened.", Model: KubectlPod{}}},
		Handler:     h.kubectlPod,
	}
	return []route.Group{
		{
			Prefix: "/kapis/terminal.kubesphere.io/v1alpha2", Tag: "Terminal", Description: "Shells in containers and on nodes, over WebSockets, and files of containers.",
			Routes: append(h.shellRoutes(user), h.fileRoutes()...),
		},
		{Prefix: "/kapis/resources.kubesphere.io/v1alpha2", Tag: "Terminal", Description: "Shells in containers and on nodes, over WebSockets, and files of containers.", Routes: []route.Route{pod}},
	}
}

func (h *Handler) shellRoutes(user route.Parameter) []route.Route {
	shell := route.Parameter{In: route.InQuery, Name: "shell", Description: "The shell to start: bash, sh, ash, zsh, powershell or cmd. Without, bash or else sh."}
	answers := []route.Response{
		{Code: http.StatusSwitchingProtocols, Description: "The terminal: text messages with JSON, {\"Op\":\"stdin\",\"Data\":…} and {\"Op\":\"resize\",\"Cols\":…,\"Rows\":…} to the server, {\"Op\":\"stdout\",\"Data\":…} and {\"Op\":\"toast\",\"Data\":…} from it."},
		{Code: http.StatusBadRequest, Description: "The request is no WebSocket."},
		{Code: http.StatusTooManyRequests, Description: "The caller or the server has as many terminals open as may be."},
	}
	return []route.Route{
		{
			Method: http.MethodGet, Path: "/namespaces/{namespace}/pods/{pod}/exec", ID: "openPodTerminal", Upgrades: true, Summary: "Open a terminal in a container",
			Description: "It takes the right to create pods/exec in the namespace. Rights are looked at again every other second.",
			Parameters: []route.Parameter{
				inPath("namespace", "Name of the namespace."), inPath("pod", "Name of the pod."), container(), shell,
			},
			Responses: answers, Handler: h.pod,
		},
		{
			Method: http.MethodGet, Path: "/nodes/{node}/exec", ID: "openNodeTerminal", Upgrades: true, Summary: "Open a terminal on a node",
			Description: "Starts a privileged pod on the node, which ends with the terminal. It takes all rights on the platform.",
			Parameters:  []route.Parameter{inPath("node", "Name of the node."), shell},
			Responses:   answers, Handler: h.node,
		},
		{
			Method: http.MethodGet, Path: "/users/{user}/kubectl", ID: "openKubectlTerminal", Upgrades: true, Summary: "Open a terminal with kubectl",
			Description: "It has the rights of the user, for whom alone it is, and runs in a pod that is made when there is none.",
			Parameters:  []route.Parameter{user, shell},
			Responses:   answers, Handler: h.kubectl,
		},
	}
}

func (h *Handler) fileRoutes() []route.Route {
	parameters := func(path string) []route.Parameter {
		return []route.Parameter{
			inPath("namespace", "Name of the namespace."), inPath("pod", "Name of the pod."), container(),
			{In: route.InQuery, Name: "path", Required: true, Description: path},
		}
	}
	return []route.Route{
		{
			Method: http.MethodGet, Path: "/namespaces/{namespace}/pods/{pod}/file", ID: "downloadPodFile", Transfers: true, Summary: "Download a file of a container",
			Description: "That of a directory is an archive, as tar makes it. It takes the right to create pods/exec in the namespace, and a container with tar.",
			Parameters:  parameters("Absolute path of the file or directory."), Produces: []string{"application/octet-stream", mediaTar},
			Responses: []route.Response{
				{Code: http.StatusOK, Description: "The file, or an archive of the directory.", Model: ""},
				{Code: http.StatusNotFound, Description: "There is no such file."},
				{Code: http.StatusRequestEntityTooLarge, Description: "The file is too large."},
			},
			Handler: h.download,
		},
		{
			Method: http.MethodPost, Path: "/namespaces/{namespace}/pods/{pod}/file", ID: "uploadPodFile", Transfers: true, Summary: "Upload files to a container",
			Description: "Of a form, every file is written into the directory; any other body becomes the file of that path. It takes the right to create pods/exec in the namespace, and a container with tar.",
			Parameters: append(parameters("Absolute path of the directory for the files of a form, or of the file."),
				route.Parameter{In: route.InForm, Name: "file", Type: "file", Required: true, Description: "A file. There may be several."}),
			Consumes: []string{"multipart/form-data"},
			Responses: []route.Response{
				{Code: http.StatusOK, Description: "The files are written.", Model: route.Message{}},
				{Code: http.StatusRequestEntityTooLarge, Description: "The files are too large."},
			},
			Handler: h.upload,
		},
	}
}

func container() route.Parameter {
	return route.Parameter{In: route.InQuery, Name: "container", Description: "Name of the container; the first one of the pod if it is missing."}
}
