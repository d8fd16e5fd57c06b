package deploy

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// object is a Kubernetes object as decoded from YAML.
type object = map[string]any

// TestChartAgreesWithBase keeps the two ways to deploy from drifting apart: what
// one of them learns (a right, a probe) the other must have as well. Everything is
// compared, except what normalise takes away on purpose.
func TestChartAgreesWithBase(t *testing.T) {
	// The base is for all versions of Kubernetes, the chart knows the one it is for.
	for _, test := range []struct {
		name      string
		set       []string
		component string
	}{
		{"as they are", []string{"impersonation=Unconstrained"}, ""},
		{"with constrained impersonation", nil, "constrained-impersonation"},
		{"with enforced admission policies", []string{"impersonation=Unconstrained", "admissionPolicies=Deny"}, "enforce-admission-policies"},
		{"without admission policies", []string{"impersonation=Unconstrained", "admissionPolicies=Off"}, "without-admission-policies"},
	} {
		t.Run(test.name, func(t *testing.T) {
			directory := baseDir
			if test.component != "" {
				directory = overlay(t, test.component)
			}
			agree(t, test.set, directory)
		})
	}
}

// overlay is a directory with the base and a component.
func overlay(t *testing.T, component string) string {
	t.Helper()
	// kubectl follows links, and takes no paths but relative ones.
	directory, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	relative := func(path string) string {
		absolute, err := filepath.Abs(path)
		if err != nil {
			t.Fatal(err)
		}
		found, err := filepath.Rel(directory, absolute)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	content := fmt.Sprintf("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [%q]\ncomponents: [%q]\n",
		relative(baseDir), relative("../../deploy/kustomize/components/"+component))
	if err := os.WriteFile(filepath.Join(directory, "kustomization.yaml"), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return directory
}

// agree compares the chart with values and a directory for kustomize.
func agree(t *testing.T, set []string, directory string) {
	t.Helper()
	rendered, err := template(t, flags(set)...)
	if err != nil {
		t.Fatal(err)
	}
	chart := decode(t, rendered)
	base := decode(t, kubectl(t, "kustomize", directory))
	// Helm makes the namespace itself, with --create-namespace.
	delete(base, "Namespace/"+namespace)

	if got, want := sorted(chart), sorted(base); !slices.Equal(got, want) {
		t.Fatalf("the chart has\n%v\nthe base has\n%v", got, want)
	}
	for _, key := range sorted(base) {
		normalise(t, chart[key])
		normalise(t, base[key])
		if got, want := indent(t, chart[key]), indent(t, base[key]); got != want {
			t.Errorf("%s differs\nin the chart:\n%s\nin the base:\n%s", key, got, want)
		}
	}
}

// normalise removes what may differ.
func normalise(t *testing.T, o object) {
	t.Helper()
	// Labels say which tool installed it.
	delete(field[object](t, o, "metadata"), "labels")
	switch o["kind"] {
	case "ConfigMap":
		// The order of keys and the quotes are the tool's; the meaning is compared.
		data := field[object](t, o, "data")
		for key := range data {
			var parsed any
			if err := yaml.Unmarshal([]byte(field[string](t, data, key)), &parsed); err != nil {
				t.Errorf("%s: %v", key, err)
			}
			data[key] = parsed
		}
	case "Deployment":
		pod := field[object](t, field[object](t, o, "spec"), "template")
		// The chart's checksum of the configuration; the base is applied by a
		// tool that can't compute one.
		delete(field[object](t, pod, "metadata"), "annotations")
	}
}

// field is o's value of that name, which has to be there.
func field[T any](t *testing.T, o object, name string) T {
	t.Helper()
	value, ok := o[name].(T)
	if !ok {
		t.Fatalf("%v %s: got %T", o["kind"], name, o[name])
	}
	return value
}

// decode returns the objects of a YAML stream by kind and name.
func decode(t *testing.T, stream string) map[string]object {
	t.Helper()
	objects := map[string]object{}
	for _, document := range strings.Split("\n"+stream, "\n---\n") {
		var o object
		if err := yaml.Unmarshal([]byte(document), &o); err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		if o == nil {
			continue // only comments
		}
		key := fmt.Sprintf("%v/%v", o["kind"], field[object](t, o, "metadata")["name"])
		if _, twice := objects[key]; twice {
			t.Errorf("%s is there twice", key)
		}
		objects[key] = o
	}
	return objects
}

func sorted(objects map[string]object) []string {
	return slices.Sorted(maps.Keys(objects))
}

func indent(t *testing.T, o object) string {
	t.Helper()
	text, err := json.MarshalIndent(o, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
