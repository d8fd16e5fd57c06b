package registries

import (
	"net/http"

	"github.com/super-kubenetes/ks-apiserver/pkg/route"
)

const (
	tag         = "Registries"
	description = "Registries of images and repositories of source code, called where users say."
)

// Groups declare the operations.
func (h *Handler) Groups() []route.Group {
	success := []route.Response{{Code: http.StatusOK, Description: "The credentials are right.", Model: route.Message{}}, {Code: http.StatusBadRequest, Description: "They are not, or it cannot be reached."}}
	query := func(name, description string, required bool) route.Parameter {
		return route.Parameter{In: route.InQuery, Name: name, Required: required, Description: description}
	}
	namespace := route.Parameter{In: route.InPath, Name: "namespace", Required: true, Description: "Name of the namespace."}
	secret := query("secret", "Name of a secret for pulling images, which the caller may get.", false)
	image := query("image", "The image, such as docker.io/library/nginx:1.29.", true)
	failures := []route.Response{
		{Code: http.StatusUnauthorized, Description: "The registry does not accept the credentials."},
		{Code: http.StatusNotFound, Description: "The registry does not have it."},
		{Code: http.StatusBadRequest, Description: "The registry cannot be reached."},
	}
	answers := func(description string, model any) []route.Response {
		return append([]route.Response{{Code: http.StatusOK, Description: description, Model: model}}, failures...)
	}
	return []route.Group{
		{
			Prefix: "/kapis/resources.kubesphere.io/v1alpha2", Tag: tag, Description: description,
			Routes: []route.Route{
				{
					Method: http.MethodPost, Path: "/registry/verify", ID: "verifyRegistry", Summary: "Check a user name and a password of a registry",
					Body: Login{}, Responses: success, Awaits: true, Handler: h.verify,
				},
				{
					Method: http.MethodGet, Path: "/registry/blob", ID: "getImage", Summary: "Get the manifest and the configuration of an image",
					Parameters: []route.Parameter{image, query("namespace", "Namespace of the secret.", false), secret,
						{In: route.InQuery, Name: "insecure", Type: "boolean", Description: "Do without TLS, or without checking the certificate."}},
					Responses: answers("The image.", Image{}), Handler: h.blob,
				},
				{
					Method: http.MethodPost, Path: "/git/verify", ID: "verifyGitRepository", Summary: "Check whether a repository can be read",
					Body: Repository{}, Responses: success, Awaits: true, Handler: h.verifyRepository,
				},
			},
		},
		{
			Prefix: "/kapis/resources.kubesphere.io/v1alpha3", Tag: tag, Description: description,
			Routes: []route.Route{
				{
					Method: http.MethodPost, Path: "/namespaces/{namespace}/registrysecrets/{secret}/verify", ID: "verifyRegistrySecret", Summary: "Check a secret for pulling images",
					Description: "The secret in the body need not be stored. Without a body it is the stored one, which the caller must be allowed to get.",
					Parameters:  []route.Parameter{namespace, {In: route.InPath, Name: "secret", Required: true, Description: "Name of the secret."}},
					Body:        route.Object{}, Responses: []route.Response{{Code: http.StatusOK, Description: "The secret.", Model: route.Object{}}, success[1]}, Awaits: true, Handler: h.verifySecret,
				},
				{
					Method: http.MethodGet, Path: "/namespaces/{namespace}/imageconfig", ID: "getImageConfig", Summary: "Get the configuration of an image",
					Parameters: []route.Parameter{namespace, image, secret}, Responses: answers("The configuration, as the image has it.", route.Object{}), Handler: h.config,
				},
				{
					Method: http.MethodGet, Path: "/namespaces/{namespace}/repositorytags", ID: "listRepositoryTags", Summary: "List the tags of a repository of images",
					Parameters: []route.Parameter{
						namespace, query("repository", "The repository, such as docker.io/library/nginx.", true), secret,
						{In: route.InQuery, Name: "page", Type: "integer", Description: "Number of the page, from 1."},
						{In: route.InQuery, Name: "limit", Type: "integer", Description: "Tags per page; all without."},
						{In: route.InQuery, Name: "ascending", Type: "boolean", Description: "In the order of the alphabet, instead of the other way round."},
					},
					Responses: answers("The tags.", Tags{}), Handler: h.tags,
				},
			},
		},
	}
}
