package objects

import (
	"time"

	"github.com/tidwall/gjson"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"
)

// printed is a column of a table as kubectl prints it.
type printed struct {
	name string
	// kind is string, integer, number, boolean or date; string when empty.
	kind        string
	format      string
	description string
	wide        bool // shown on request only
	cell        func(o gjson.Result, now time.Time) any
}

// Table prints objects (meta.k8s.io/v1 Table). Ages are as of now. include
// says how much of each object a row carries: None, Metadata (the default) or
// Object; secrets whether the values of secrets are shown in it.
func (t *Type) Table(items []*Item, include metav1.IncludeObjectPolicy, secrets bool, now time.Time) *metav1.Table {
	table := &metav1.Table{
		TypeMeta:          metav1.TypeMeta{Kind: "Table", APIVersion: metav1.SchemeGroupVersion.String()},
		ColumnDefinitions: []metav1.TableColumnDefinition{{Name: "Name", Type: "string", Format: "name", Description: "Name of the object."}},
		Rows:              make([]metav1.TableRow, 0, len(items)),
	}
	for _, column := range t.tableColumns() {
		definition := metav1.TableColumnDefinition{Name: column.name, Type: column.kind, Format: column.format, Description: column.description}
		if column.kind == "" {
			definition.Type = "string"
		}
		if column.wide {
			definition.Priority = 1
		}
		table.ColumnDefinitions = append(table.ColumnDefinitions, definition)
	}
	for _, item := range items {
		table.Rows = append(table.Rows, t.Row(item, include, secrets, now))
	}
	return table
}

func (t *Type) tableColumns() []printed {
	if t.printed == nil {
		return []printed{ageColumn()}
	}
	return t.printed
}

// Row prints one object as Table does.
func (t *Type) Row(item *Item, include metav1.IncludeObjectPolicy, secrets bool, now time.Time) metav1.TableRow {
	columns := t.tableColumns()
	object := gjson.Parse(item.Shown(secrets))
	row := metav1.TableRow{Cells: make([]any, 0, len(columns)+1)}
	row.Cells = append(row.Cells, item.Name())
	for _, column := range columns {
		row.Cells = append(row.Cells, column.cell(object, now))
	}
	switch include {
	case metav1.IncludeNone:
	case metav1.IncludeObject:
		row.Object = runtime.RawExtension{Raw: []byte(object.Raw)}
	default:
		row.Object = runtime.RawExtension{Raw: []byte(item.Metadata(secrets))}
	}
	return row
}

// Metadata is the object as a PartialObjectMetadata (meta.k8s.io/v1).
func (i *Item) Metadata(secrets bool) string {
	return `{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":` + gjson.Get(i.Shown(secrets), "metadata").Raw + `}`
}

// age is how long ago a time was, in the words of kubectl.
func age(text string, now time.Time) string {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return "<unknown>"
	}
	return duration.HumanDuration(now.Sub(at))
}

func ageColumn() printed {
	return printed{name: "Age", description: "Time since the object was created.", cell: func(o gjson.Result, now time.Time) any {
		return age(o.Get("metadata.creationTimestamp").Str, now)
	}}
}
