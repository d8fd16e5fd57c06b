package registries

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/turns"
)

// Image is an image as its registry has it.
type Image struct {
	Status        string       `json:"status" description:"succeeded"`
	ImageManifest route.Object `json:"imageManifest" description:"The manifest of the image."`
	ImageBlob     route.Object `json:"imageBlob" description:"The configuration of the image."`
	ImageTag      string       `json:"imageTag" description:"The tag or digest that was asked for."`
	Registry      string       `json:"registry" description:"Host of the registry."`
}

// Tags are the tags of a repository.
type Tags struct {
	Registry   string   `json:"registry" description:"Host of the registry."`
	Repository string   `json:"repository" description:"Name of the repository."`
	Tags       []string `json:"tags" description:"The tags of the page."`
	Total      int      `json:"total" description:"The number of tags on all pages."`
}

// singles returns parameters of a request that may be given once.
func singles(r *http.Request, names ...string) (map[string]string, error) {
	parameters, err := request.ParametersOf(r)
	if err != nil {
		return nil, err
	}
	values := make(map[string]string, len(names))
	for _, name := range names {
		if values[name], err = parameters.Single(name); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// boolOf returns a Boolean parameter of a request that may be given once.
func boolOf(r *http.Request, name string) (bool, error) {
	parameters, err := request.ParametersOf(r)
	if err != nil {
		return false, err
	}
	return parameters.SingleBool(name)
}

// config answers with the configuration of an image.
func (h *Handler) config(w http.ResponseWriter, r *http.Request) error {
	values, err := singles(r, "secret", "image")
	if err != nil {
		return err
	}
	with, err := h.credentials(r.Context(), r.PathValue("namespace"), values["secret"])
	if err != nil {
		return err
	}
	release, err := h.reading(r.Context())
	if err != nil {
		return err
	}
	defer release()
	ctx, cancel := context.WithTimeout(r.Context(), askWithin)
	defer cancel()
	_, image, err := h.image(ctx, values["image"], with)
	if err != nil {
		return err
	}
	config, err := image.RawConfigFile()
	if err != nil {
		return failed(err)
	}
	return writeObject(w, config, release)
}

// writeObject answers with the object in a content, which is read until release is called.
func writeObject(w http.ResponseWriter, content []byte, release func()) error {
	var object route.Object
	if route.Decode("the configuration of the image", content, &object) != nil {
		return status.BadRequest("the configuration of the image is not JSON, or too large")
	}
	release()
	status.WriteJSON(w, http.StatusOK, object)
	return nil
}

// reading waits until a registry may be asked, and an image be read.
func (h *Handler) reading(ctx context.Context) (release func(), err error) {
	if _, found := kuberequest.UserFrom(ctx); !found {
		return nil, status.Unauthorized("Unauthorized: this needs credentials")
	}
	if err := h.turn(ctx); err != nil { // first: who waits for it keeps nobody from reading
		return nil, err
	}
	return h.Asks.images.Take(ctx, turns.HolderFrom(ctx))
}

// image finds an image. What is read of it is read in the same context.
func (h *Handler) image(ctx context.Context, text string, with *credentials) (name.Reference, v1.Image, error) {
	reference, err := name.ParseReference(text, options(with.insecure)...)
	if err != nil {
		return nil, nil, status.BadRequest("parsing image %.200q failed: invalid reference format", text)
	}
	found, err := remote.Image(reference, h.remote(ctx, reference.Context().Registry, with)...)
	if err != nil {
		return nil, nil, failed(err)
	}
	return reference, found, nil
}

// blob answers with an image, manifest and all.
func (h *Handler) blob(w http.ResponseWriter, r *http.Request) error {
	values, err := singles(r, "namespace", "secret", "image")
	if err != nil {
		return err
	}
	insecure, err := boolOf(r, "insecure")
	if err != nil {
		return err
	}
	with, err := h.credentials(r.Context(), values["namespace"], values["secret"])
	if err != nil {
		return err
	}
	with.insecure = with.insecure || insecure
	release, err := h.reading(r.Context())
	if err != nil {
		return err
	}
	defer release()
	ctx, cancel := context.WithTimeout(r.Context(), askWithin)
	defer cancel()
	reference, image, err := h.image(ctx, values["image"], with)
	if err != nil {
		return err
	}
	answer := Image{Status: "succeeded", ImageTag: reference.Identifier(), Registry: reference.Context().RegistryStr()}
	for _, part := range []struct {
		read func() ([]byte, error)
		into *route.Object
	}{{image.RawManifest, &answer.ImageManifest}, {image.RawConfigFile, &answer.ImageBlob}} {
		content, err := part.read()
		if err != nil {
			return failed(err)
		}
		if route.Decode("the image", content, part.into) != nil {
			return status.BadRequest("the registry answers with something that is no image")
		}
	}
	release()
	status.WriteJSON(w, http.StatusOK, answer)
	return nil
}

const (
	// mostTags bounds how many tags of a repository are looked at.
	mostTags = 20_000
	// longestTag is how long a tag may be by the distribution specification of the OCI, in
	// bytes. Registries that answer with longer ones want memory.
	longestTag = 128
)

// tags answers with tags of a repository, the last in the alphabet first.
func (h *Handler) tags(w http.ResponseWriter, r *http.Request) error {
	values, err := singles(r, "repository", "secret", "limit", "page")
	if err != nil {
		return err
	}
	ascending, err := boolOf(r, "ascending")
	if err != nil {
		return err
	}
	text := values["repository"]
	if text == "" {
		return status.BadRequest("empty repository name")
	}
	with, err := h.credentials(r.Context(), r.PathValue("namespace"), values["secret"])
	if err != nil {
		return err
	}
	repository, err := name.NewRepository(text, options(with.insecure)...)
	if err != nil {
		return status.BadRequest("parsing repository %.200q failed", text)
	}
	release, err := h.reading(r.Context())
	if err != nil {
		return err
	}
	defer release()
	ctx, cancel := context.WithTimeout(r.Context(), askWithin)
	defer cancel()
	all, err := list(ctx, repository, h.remote(ctx, repository.Registry, with))
	if err != nil {
		return failed(err)
	}
	slices.Sort(all)
	if !ascending {
		slices.Reverse(all)
	}
	release()
	shown := page(all, values["limit"], values["page"])
	answer, err := json.Marshal(Tags{Registry: repository.RegistryStr(), Repository: repository.RepositoryStr(), Tags: []string{}, Total: len(all)})
	if err != nil {
		return err
	}
	head, tail, _ := strings.Cut(string(answer), noTags)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	return route.Stream{Head: head + `"tags":[`, Tail: "]" + tail, Count: len(shown), Text: func(n int) (string, error) {
		text, err := json.Marshal(shown[n])
		return string(text), err
	}}.Write(w, nil, false)
}

// noTags is where the tags of an answer belong; names of repositories have no quotes.
const noTags = `"tags":[]`

func list(ctx context.Context, repository name.Repository, options []remote.Option) ([]string, error) {
	puller, err := remote.NewPuller(options...)
	if err != nil {
		return nil, err
	}
	lister, err := puller.Lister(ctx, repository)
	if err != nil {
		return nil, err
	}
	all := []string{}
	for lister.HasNext() && len(all) < mostTags {
		next, err := lister.Next(ctx)
		if err != nil {
			return nil, err
		}
		for _, tag := range next.Tags {
			if len(tag) <= longestTag && len(all) < mostTags {
				all = append(all, tag)
			}
		}
	}
	return all, nil
}

// page is a page of a list; all of it without a limit.
func page(all []string, limit, number string) []string {
	size, err := strconv.Atoi(limit)
	if err != nil || size < 0 {
		return all
	}
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 {
		n = 1
	}
	if size == 0 || n-1 > len(all)/size {
		return []string{}
	}
	from := min((n-1)*size, len(all))
	return all[from:min(from+size, len(all))]
}
