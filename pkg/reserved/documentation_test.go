package reserved

import (
	"flag"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

var update = flag.Bool("update", false, "write the tables of the documentation anew")

// apiPage is the reference with the tables of the register, between two marks.
const (
	apiPage   = "../../docs/api.md"
	tablesEnd = "<!-- end of the register -->\n"
)

const tablesBegin = "<!-- The register: go test ./pkg/reserved -update -->\n"

// kinds are the kinds with reserved names, in the order of the table.
var kinds = []Kind{Namespace, Workspace, User, Group, GlobalRole, WorkspaceRole, ClusterRole, Role, ClusterRoleBinding, RoleBinding}

// rights are the rights of the register, in the order of the table.
var rights = []Right{ServerOnly, Platform, Cluster, OwnName}

// tables returns the register as the documentation shows it.
func tables() string {
	var text strings.Builder
	text.WriteString("| kind | names | take |\n|---|---|---|\n")
	for _, kind := range kinds {
		for _, right := range rights {
			var names []string
			for _, one := range Default().names[kind] {
				if code := "`" + one.pattern + "`"; one.right == right && !slices.Contains(names, code) {
					names = append(names, code)
				}
			}
			if len(names) > 0 {
				text.WriteString("| " + string(kind) + " | " + strings.Join(names, ", ") + " | " + right.String() + " |\n")
			}
		}
	}
	text.WriteString("\n| resource | fields | take |\n|---|---|---|\n")
	all := Default().fields
	for _, resource := range slices.SortedFunc(maps.Keys(all), func(a, b schema.GroupResource) int { return strings.Compare(a.String(), b.String()) }) {
		for _, right := range rights {
			var fields []string
			for _, field := range all[resource] {
				if field.Right == right {
					fields = append(fields, fieldText(field))
				}
			}
			if len(fields) > 0 {
				text.WriteString("| " + resource.String() + " | " + strings.Join(fields, ", ") + " | " + right.String() + " |\n")
			}
		}
	}
	return text.String()
}

func fieldText(field Field) string {
	switch {
	case field.added:
		return "`" + field.String() + "` that are added"
	case field.key == "":
		return "`" + field.String() + "`"
	case field.value != "":
		return strings.TrimPrefix(strings.Replace(field.String(), field.key, "`"+field.key+"="+field.value+"`", 1), "the ")
	}
	return strings.TrimPrefix(strings.Replace(field.String(), field.key, "`"+field.key+"`", 1), "the ")
}

// TestDocumentation: docs/api.md has all names and fields of the register.
func TestDocumentation(t *testing.T) {
	content, err := os.ReadFile(apiPage)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(content), tablesBegin)
	present, after, ends := strings.Cut(rest, tablesEnd)
	if !begins || !ends {
		t.Fatalf("%s does not have the marks of the register", apiPage)
	}
	if present == tables() {
		return
	}
	if !*update {
		t.Fatalf("%s is not current: go test ./pkg/reserved -update", apiPage)
	}
	if err := os.WriteFile(apiPage, []byte(before+tablesBegin+tables()+tablesEnd+after), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestKinds: the table has every kind of the register.
func TestKinds(t *testing.T) {
	for kind := range names {
		if !slices.Contains(kinds, kind) {
			t.Errorf("%s is in no table", kind)
		}
	}
}
