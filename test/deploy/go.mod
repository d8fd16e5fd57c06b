module github.com/super-kubenetes/ks-apiserver/test/deploy

go 1.26.0

require sigs.k8s.io/yaml v1.6.0

require (
	github.com/super-kubenetes/ks-apiserver v0.0.0
	go.yaml.in/yaml/v2 v2.4.4 // indirect
)

replace github.com/super-kubenetes/ks-apiserver => ../..
