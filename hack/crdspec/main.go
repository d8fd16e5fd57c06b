// Command crdspec reads the OpenAPI document of a Kubernetes, as `kubectl get
// --raw /openapi/v2` prints it, and writes the part about our custom resources.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "crdspec:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	var document map[string]any
	if err := json.NewDecoder(in).Decode(&document); err != nil {
		return err
	}
	all, _ := document["definitions"].(map[string]any)
	paths := make(map[string]any)
	for path, item := range document["paths"].(map[string]any) {
		if group, found := strings.CutPrefix(path, "/apis/"); found && strings.Contains(strings.SplitN(group, "/", 2)[0], "kubesphere.io") {
			paths[path] = item
		}
	}
	if len(paths) == 0 {
		return fmt.Errorf("the document has no paths of ours: are the custom resource definitions installed?")
	}
	parameters, _ := document["parameters"].(map[string]any)
	k := keeper{
		all:  map[string]map[string]any{"definitions": all, "parameters": parameters},
		kept: map[string]map[string]any{"definitions": {}, "parameters": {}},
	}
	k.keep(paths)
	dropUndefinedRequired(k.kept["definitions"])
	document["paths"], document["definitions"], document["parameters"] = paths, k.kept["definitions"], k.kept["parameters"]
	delete(document, "security")
	delete(document, "securityDefinitions")
	// The version of the Kubernetes that served it says nothing about ours.
	document["info"] = map[string]any{"title": "Custom resources of ks-apiserver", "version": "v1"}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(document)
}

// keeper copies what is referred to, directly or not.
type keeper struct {
	all, kept map[string]map[string]any // by section and name
}

func (k keeper) keep(value any) {
	switch value := value.(type) {
	case map[string]any:
		if reference, isText := value["$ref"].(string); isText {
			section, name, _ := strings.Cut(strings.TrimPrefix(reference, "#/"), "/")
			if _, done := k.kept[section][name]; !done && k.all[section][name] != nil {
				k.kept[section][name] = k.all[section][name]
				k.keep(k.all[section][name])
			}
		}
		for _, inner := range value {
			k.keep(inner)
		}
	case []any:
		for _, inner := range value {
			k.keep(inner)
		}
	}
}

// dropUndefinedRequired takes names out of "required" that "properties" does not
// define. Kubernetes leaves out the properties of what has a nullable field, but
// not their names, which makes the document invalid.
func dropUndefinedRequired(value any) {
	switch value := value.(type) {
	case map[string]any:
		if required, isList := value["required"].([]any); isList {
			properties, _ := value["properties"].(map[string]any)
			required = slices.DeleteFunc(required, func(name any) bool {
				text, isText := name.(string)
				return isText && properties[text] == nil
			})
			value["required"] = required
			if len(required) == 0 {
				delete(value, "required")
			}
		}
		for _, inner := range value {
			dropUndefinedRequired(inner)
		}
	case []any:
		for _, inner := range value {
			dropUndefinedRequired(inner)
		}
	}
}
