package iam

import "context"

// DevOpsNamespace returns the namespace of a DevOps project, "" when it has
// none. When several say they are it, none is: else who may label a namespace
// could take a project over.
func (d *Directory) DevOpsNamespace(ctx context.Context, project string) (string, error) {
	all, err := d.namespaces(ctx)
	if err != nil || project == "" {
		return "", err
	}
	return devOpsNamespace(all.Items, project), nil
}

func devOpsNamespace(all []*Namespace, project string) string {
	found := ""
	for _, one := range all {
		switch {
		case one.DevOps != project:
		case found != "":
			return ""
		default:
			found = one.Name
		}
	}
	return found
}

// DevOpsProjects returns the names of the DevOps projects whose namespaces are
// among those that pass.
func (d *Directory) DevOpsProjects(ctx context.Context, pass func(namespace string) bool) ([]string, error) {
	all, err := d.namespaces(ctx)
	if err != nil {
		return nil, err
	}
	return devOpsProjects(all.Items, pass), nil
}

func devOpsProjects(all []*Namespace, pass func(namespace string) bool) []string {
	claims := make(map[string]int)
	for _, one := range all {
		claims[one.DevOps]++
	}
	var names []string
	for _, one := range all {
		if one.DevOps != "" && claims[one.DevOps] == 1 && pass(one.Name) {
			names = append(names, one.DevOps)
		}
	}
	return names
}
