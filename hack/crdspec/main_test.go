package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	const document = `{"paths":{"/apis/network.kubesphere.io/v1alpha1/ipamblocks":{"get":{"responses":{"200":{"schema":{"$ref":"#/definitions/Block"}}}}},
		"/apis/apps/v1/deployments":{"get":{}}},
		"definitions":{"Block":{"properties":{"spec":{"required":["allocations","cidr"],"x-kubernetes-preserve-unknown-fields":true},
			"status":{"required":["free","gone"],"properties":{"free":{"type":"integer"}}}},"required":["spec"]},"Other":{}}}`
	var out strings.Builder
	if err := run(strings.NewReader(document), &out); err != nil {
		t.Fatal(err)
	}
	var result struct {
		Paths       map[string]any
		Definitions map[string]struct {
			Required   []string
			Properties map[string]struct{ Required []string }
		}
	}
	if err := json.Unmarshal([]byte(out.String()), &result); err != nil {
		t.Fatal(err)
	}
	block := result.Definitions["Block"]
	if len(result.Paths) != 1 || len(result.Definitions) != 1 {
		t.Errorf("it keeps more than what is ours: %s", out.String())
	}
	if len(block.Required) != 1 || len(block.Properties["spec"].Required) != 0 || strings.Join(block.Properties["status"].Required, " ") != "free" {
		t.Errorf("names are required that no property defines: %+v", block)
	}
}
