package iam

import (
	"slices"
	"testing"
)

func TestDevOpsNamespace(t *testing.T) {
	all := []*Namespace{{Name: "a"}, {Name: "b", DevOps: "one"}, {Name: "c", DevOps: "two"}, {Name: "d", DevOps: "two"}, {Name: "two"}}
	for project, want := range map[string]string{"one": "b", "two": "", "three": "", "a": ""} {
		if got := devOpsNamespace(all, project); got != want {
			t.Errorf("%s: namespace %q, want %q", project, got, want)
		}
	}
	for _, test := range []struct {
		namespaces []string
		want       []string
	}{{nil, nil}, {[]string{"a", "b"}, []string{"one"}}, {[]string{"a", "c", "d"}, nil}} {
		if got := devOpsProjects(all, func(name string) bool { return slices.Contains(test.namespaces, name) }); !slices.Equal(got, test.want) {
			t.Errorf("%v: projects %v, want %v", test.namespaces, got, test.want)
		}
	}
}
