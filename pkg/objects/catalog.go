package objects

import (
	"strings"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
)

// Catalog is the table of the resource types the engine knows by name.
type Catalog struct {
	types map[string]*Type
}

// Type returns the type with a plural name, nil when there is none.
func (c *Catalog) Type(resource string) *Type { return c.types[resource] }

// Resources returns the plural names of all types.
func (c *Catalog) Resources() []string {
	names := make([]string, 0, len(c.types))
	for name := range c.types {
		names = append(names, name)
	}
	return names
}

// NewCatalog returns the table of types.
func NewCatalog() *Catalog {
	c := &Catalog{types: make(map[string]*Type)}
	c.addCore()
	c.addWorkloads()
	c.addNetworking()
	c.addStorage()
	c.addRBAC()
	c.addPlatform()
	c.addRelations()
	c.addTables()
	for resource, a := range annotators() {
		c.types[resource].annotator = &a
	}
	return c
}

func (c *Catalog) cluster(gv schema.GroupVersion, resource, kind string, columns ...Column) *Type {
	t := &Type{GroupVersionResource: gv.WithResource(resource), Kind: kind, Columns: columns, remove: neverKept[:len(neverKept):len(neverKept)]}
	c.types[resource] = t
	return t
}

func (c *Catalog) namespaced(gv schema.GroupVersion, resource, kind string, columns ...Column) *Type {
	t := c.cluster(gv, resource, kind, columns...)
	t.Namespaced = true
	return t
}

// columnImages are the images of the containers, what a full-text search reads
// beside names and labels.
const columnImages = "images"

// imagesColumn are the images of a pod or of the pods of a workload.
func imagesColumn(podAt string) Column {
	return Column{Name: columnImages, Match: containing, Derive: func(o gjson.Result) Value {
		pod := o
		if podAt != "" {
			pod = o.Get(podAt)
		}
		var images string
		add := func(_, container gjson.Result) bool {
			image := container.Get("image").String()
			switch {
			case images == "":
				images = image // most have one, whose text is a part of the object
			case image != "":
				images += separator + image
			}
			return true
		}
		eachOf(pod.Get("spec.containers"), add)
		eachOf(pod.Get("spec.initContainers"), add)
		return Value{Text: images}
	}}
}

// separator stands between the parts of a column with several; no name has it.
const separator = "\x00"

// elements are the texts of a list, each between separators.
func elements(at string) func(gjson.Result) Value {
	return func(o gjson.Result) Value {
		text := ""
		o.Get(at).ForEach(func(_, value gjson.Result) bool {
			text += separator + value.String()
			return true
		})
		return Value{Text: text + separator}
	}
}

func element(value Value, wanted string) bool {
	return wanted != "" && strings.Contains(value.Text, separator+wanted+separator)
}

func containing(value Value, wanted string) bool { return strings.Contains(value.Text, wanted) }

func exactly(value Value, wanted string) bool { return value.Text == wanted }

func ignoringCase(value Value, wanted string) bool { return strings.EqualFold(value.Text, wanted) }

func path(path string) func(gjson.Result) Value {
	return func(o gjson.Result) Value { return Value{Text: o.Get(path).String()} }
}

// pathColumn is a text at a path of the object, filtered by its value in any case.
func pathColumn(name, at string) Column {
	return Column{Name: name, Derive: path(at), Match: ignoringCase}
}

// textColumn is a text computed from the object, filtered by its value in any case.
func textColumn(name string, derive func(gjson.Result) string) Column {
	return Column{Name: name, Derive: func(o gjson.Result) Value { return Value{Text: derive(o)} }, Match: ignoringCase}
}

// numberColumn is a number, to sort by.
func numberColumn(name string, derive func(gjson.Result) int64) Column {
	return Column{Name: name, Derive: func(o gjson.Result) Value { return Value{Number: derive(o)} }}
}

// timeColumn is a time in Unix seconds, to sort by.
func timeColumn(name string, derive func(gjson.Result) int64) Column {
	return Column{Name: name, Derive: func(o gjson.Result) Value { return Value{Number: derive(o)} }}
}

// timeAt is the time at a path, in Unix seconds.
func timeAt(at string) func(gjson.Result) int64 {
	return func(o gjson.Result) int64 { return seconds(o.Get(at).Str) }
}

// lastUpdate is the latest of the creation and the given time of the
// conditions.
func lastUpdate(field string) func(gjson.Result) int64 {
	return func(o gjson.Result) int64 {
		latest := seconds(o.Get("metadata.creationTimestamp").Str)
		o.Get("status.conditions").ForEach(func(_, condition gjson.Result) bool {
			latest = max(latest, seconds(condition.Get(field).Str))
			return true
		})
		return latest
	}
}

// maskSecret keeps the keys of a secret and empties the values.
func maskSecret(object string) string {
	for _, field := range []string{"data", "stringData"} {
		values := gjson.Get(object, field)
		if !values.IsObject() {
			continue
		}
		masked := make(map[string]string)
		values.ForEach(func(key, _ gjson.Result) bool {
			masked[key.String()] = ""
			return true
		})
		replaced, err := sjson.Set(object, field, masked)
		if err != nil { // rather nothing than a secret
			replaced, _ = sjson.Delete(object, field)
		}
		object = replaced
	}
	return object
}

// cleanConfigMap takes the credentials out of the kubeconfigs KubeSphere 3.x
// keeps in config maps.
func cleanConfigMap(object string) string {
	metadata := gjson.Get(object, "metadata")
	if metadata.Get("namespace").Str != reserved.ControlsNamespace || !strings.HasPrefix(metadata.Get("name").Str, "kubeconfig-") {
		return object
	}
	for _, field := range []string{"data", "binaryData", lastApplied} {
		if cleaner, err := sjson.Delete(object, field); err == nil {
			object = cleaner
		}
	}
	return object
}
