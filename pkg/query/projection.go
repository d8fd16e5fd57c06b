package query

import (
	"strings"

	"github.com/tidwall/gjson"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// Projection is a set of fields of an object, given by their paths.
type Projection struct {
	// fields are the parts of this level; a part without fields is kept whole.
	fields map[string]*Projection
	// text is what the projection was read from, of the first level.
	text string
}

// String is the text a projection was read from, "" for all fields.
func (p *Projection) String() string {
	if p == nil {
		return ""
	}
	return p.text
}

// maxPaths bounds the paths of a projection, maxDepth the parts of a path.
const (
	maxPaths = 64
	maxDepth = 32
)

// ParseProjection reads paths such as "metadata.name,status.phase". A dot in a
// key is escaped with a backslash. A path leads through the elements of lists:
// "spec.containers.image" are the images of all containers.
func ParseProjection(text string) (*Projection, error) {
	if text == "" {
		return nil, nil
	}
	if len(text) > maxSelectorLength {
		return nil, status.BadRequest("%s is longer than %d bytes", Fields, maxSelectorLength)
	}
	paths := strings.Split(text, ",")
	if len(paths) > maxPaths {
		return nil, status.BadRequest("%s has more than %d paths", Fields, maxPaths)
	}
	root := &Projection{fields: make(map[string]*Projection), text: text}
	for _, path := range paths {
		parts := splitPath(strings.TrimSpace(path))
		if len(parts) > maxDepth {
			return nil, status.BadRequest("invalid %s: %q has more than %d parts", Fields, path, maxDepth)
		}
		at := root
		for n, part := range parts {
			if part == "" {
				return nil, status.BadRequest("invalid %s: %q is not the path of a field", Fields, path)
			}
			if n == len(parts)-1 {
				at.fields[part] = &Projection{} // the whole field, whatever was asked of it before
				break
			}
			next := at.fields[part]
			if next == nil {
				next = &Projection{fields: make(map[string]*Projection)}
				at.fields[part] = next
			}
			if next.fields == nil {
				break // it is there as a whole
			}
			at = next
		}
	}
	return root, nil
}

// splitPath splits at the dots that are not escaped.
func splitPath(path string) []string {
	var parts []string
	var part strings.Builder
	for n := 0; n < len(path); n++ {
		switch {
		case path[n] == '\\' && n+1 < len(path) && path[n+1] == '.':
			part.WriteByte('.')
			n++
		case path[n] == '.':
			parts = append(parts, part.String())
			part.Reset()
		default:
			part.WriteByte(path[n])
		}
	}
	return append(parts, part.String())
}

// Of returns the chosen fields of an object in JSON, in the object's order. A nil
// projection chooses all of them.
func (p *Projection) Of(object string) string {
	if p == nil {
		return object
	}
	var b strings.Builder
	p.write(&b, gjson.Parse(object), 0)
	return b.String()
}

// maxNested bounds how deep values are nested that a projection leads through: each level
// goes through all those below it.
const maxNested = 2 * maxDepth

func (p *Projection) write(b *strings.Builder, value gjson.Result, depth int) {
	switch {
	case p.fields == nil:
		b.WriteString(value.Raw)
	case value.IsObject():
		separator := byte('{')
		value.ForEach(func(key, field gjson.Result) bool {
			if chosen := p.fields[key.Str]; chosen != nil && chosen.reaches(field) {
				b.WriteByte(separator)
				separator = ','
				b.WriteString(key.Raw)
				b.WriteByte(':')
				chosen.write(b, field, depth+1)
			}
			return true
		})
		if separator == '{' {
			b.WriteByte('{')
		}
		b.WriteByte('}')
	case value.IsArray():
		separator := byte('[')
		value.ForEach(func(_, element gjson.Result) bool {
			if p.reaches(element) && depth < maxNested {
				b.WriteByte(separator)
				separator = ','
				p.write(b, element, depth+1)
			}
			return true
		})
		if separator == '[' {
			b.WriteByte('[')
		}
		b.WriteByte(']')
	}
}

// reaches reports whether there is anything to choose from: the path of a
// field leads nowhere in a number.
func (p *Projection) reaches(value gjson.Result) bool {
	return p.fields == nil || value.IsObject() || value.IsArray()
}
