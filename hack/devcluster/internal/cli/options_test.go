package cli

import (
	"slices"
	"testing"
)

func TestParse(t *testing.T) {
	o, err := parse([]string{"up", "--nodes", "5", "--apiserver-arg", "v=2", "--apiserver-arg=--feature-gates=A=true,B=false", "--", "kubectl", "get", "--help"})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(o.command, []string{"kubectl", "get", "--help"}) {
		t.Errorf("command %q", o.command)
	}
	if !slices.Equal(o.cluster.APIServerArgs, []string{"--v=2", "--feature-gates=A=true,B=false"}) {
		t.Errorf("arguments %q", o.cluster.APIServerArgs)
	}
	if o.cluster.Nodes != 5 {
		t.Errorf("%d nodes", o.cluster.Nodes)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, args := range [][]string{
		{"up"}, {"up", "--"}, {"up", "kubectl"}, {"down"}, {"--", "kubectl"},
		{"--port", "70000"}, {"--nodes", "0"}, {"--pods", "-1"}, {"--unknown"},
	} {
		if _, err := parse(args); err == nil {
			t.Errorf("%q was taken", args)
		}
	}
}
