// Package strictjson reads JSON and YAML as kube-apiserver reads them, so that a decision
// about a body is about the object that Kubernetes stores: keys are case-sensitive, and a
// body in which an object has a key twice is refused.
package strictjson
