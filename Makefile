# make run    a real embedded Kubernetes and ks-apiserver on 127.0.0.1:9090
# make test   everything, including the tests on the embedded Kubernetes
# Needed are Go, git and make; everything else is built from here.

SHELL := /bin/sh
export CGO_ENABLED ?= 0

# The version of the KubeSphere API that is served; clients read major.minor.
VERSION ?= v3.4.0
COMMIT := $(shell git rev-parse HEAD 2>/dev/null)
PACKAGE := github.com/super-kubenetes/ks-apiserver/pkg/app
LDFLAGS := -s -w -X $(PACKAGE).Version=$(VERSION) -X $(PACKAGE).GitCommit=$(COMMIT)
# The race detector needs a C compiler, which not every machine has.
# The cipher of bcrypt is not raced: it shares no memory, is ten times as slow then,
# and the tests hash a thousand passwords.
RACE := $(if $(shell command -v gcc 2>/dev/null),-race -gcflags=golang.org/x/crypto/blowfish=-race=false)
# Tests run in an order of their own each time. A failure prints the seed;
# "make test-e2e SHUFFLE=<seed>" repeats the order.
SHUFFLE ?= on
# What runs under test notices when a cached object is changed. The Kubernetes
# beside it does not need to.
TESTED := env KUBE_CACHE_MUTATION_DETECTOR=true
RACED := $(TESTED) $(if $(RACE),CGO_ENABLED=1)
# Vet runs by itself, without the race detector: within "go test -race" it goes
# through all dependencies a second time.
GOTEST := go test -vet=off -shuffle=$(SHUFFLE)
CLUSTER := bin/devcluster up --quiet --unsafe-no-fsync --nodes 3
PORT ?= 9090
SECURE_PORT ?= 9443
IMAGE ?= ks-apiserver:$(VERSION)

.PHONY: all build run test test-unit test-e2e test-identity test-devcluster test-deploy test-browser test-oidc test-upgrade test-load test-escalation bench bench-proxy bench-units generate verify-generate lint image clean bin/ks-apiserver bin/kubectl-ks bin/devcluster

all: build

build: bin/ks-apiserver bin/kubectl-ks

# Without -trimpath, which only the image has: so that what tests, vet and the
# embedded Kubernetes compile is the same, and compiled once.
bin/ks-apiserver:
	@mkdir -p bin
	@echo "building $@"
	@go build -ldflags '$(LDFLAGS)' -o $@ ./cmd/ks-apiserver

bin/kubectl-ks:
	@mkdir -p bin
	@echo "building $@"
	@go build -ldflags '-s -w -X main.version=$(VERSION)' -o $@ ./cmd/kubectl-ks

# devcluster is the embedded Kubernetes; kubectl comes with it.
bin/devcluster:
	@hack/devcluster/build.sh bin

bin/controller-gen:
	go build -C hack/tools -o ../../bin/controller-gen sigs.k8s.io/controller-tools/cmd/controller-gen
bin/oapi-codegen:
	go build -C hack/tools/codegen -o ../../../bin/oapi-codegen github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen
bin/helm:
	go build -C hack/tools/helm -o ../../../bin/helm helm.sh/helm/v4/cmd/helm
bin/golangci-lint:
	go build -C hack/tools/lint -o ../../../bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint

run: bin/ks-apiserver bin/kubectl-ks bin/devcluster
	@PORT=$(PORT) SECURE_PORT=$(SECURE_PORT) hack/run.sh

test: test-unit test-identity test-e2e test-devcluster test-deploy test-browser test-oidc test-upgrade

test-unit:
	go vet ./...
	$(RACED) $(GOTEST) $(RACE) ./...

# Identity providers others wrote, with dependencies of their own.
test-identity:
	go vet -C test/identity ./...
	go test -C test/identity -count=1 -shuffle=$(SHUFFLE) ./...

# The embedded Kubernetes of the tests is not raced; the server in them is.
test-e2e: bin/devcluster bin/ks-apiserver bin/kubectl-ks
	go vet -tags e2e ./test/e2e
	$(CLUSTER) --pods 60 -- $(RACED) $(GOTEST) $(RACE) -count=1 -parallel 3 -tags e2e -timeout 40m ./test/e2e

test-devcluster: bin/devcluster
	cd hack/devcluster && DEVCLUSTER_BIN=$(CURDIR)/bin/devcluster KUBECTL_BIN=$(CURDIR)/bin/kubectl $(GOTEST) -count=1 ./...

test-deploy: bin/devcluster bin/helm bin/ks-apiserver
	$(CLUSTER) -- $(TESTED) go test -C test/deploy -count=1 -shuffle=$(SHUFFLE) ./...

test-browser: bin/devcluster bin/ks-apiserver
	go vet -C test/browser ./...
	$(CLUSTER) --pods 60 -- $(TESTED) hack/with-server.sh go test -C test/browser -count=1 -shuffle=$(SHUFFLE) ./...

# The libraries applications log in with, as clients of the binary.
test-oidc: bin/devcluster bin/ks-apiserver
	go vet -C test/oidc ./...
	$(CLUSTER) -- $(TESTED) go test -C test/oidc -count=1 -shuffle=$(SHUFFLE) -timeout 20m ./...

# A rolling update from an earlier commit to this tree, and back. A clone without
# its history has no earlier commit.
UPGRADE_FROM ?= 30581397a39c
test-upgrade: bin/devcluster bin/ks-apiserver
	go vet -C test/upgrade ./...
	@git cat-file -e '$(UPGRADE_FROM)^{commit}' 2>/dev/null || { echo "skipped: $(UPGRADE_FROM) is not in this clone; see git fetch --unshallow"; exit 0; }; \
	test -x bin/ks-apiserver-$(UPGRADE_FROM) || hack/build-at.sh $(UPGRADE_FROM) bin/ks-apiserver-$(UPGRADE_FROM) || exit 1; \
	$(CLUSTER) -- $(TESTED) KS_APISERVER_FROM=$(CURDIR)/bin/ks-apiserver-$(UPGRADE_FROM) go test -C test/upgrade -count=1 -shuffle=$(SHUFFLE) ./...

# What clients may cost others: slow clients on 1,000 connections, patches, whole
# lists in every form, watches. It takes some minutes, and is not part of test.
test-load: bin/devcluster bin/ks-apiserver
	go vet -tags load ./test/load
	bin/devcluster up --quiet --unsafe-no-fsync --nodes 3 --pods 60 -- go test -count=1 -tags load -v -timeout 20m ./test/load

# Random requests of users that look for ways beyond their rights, for longer than the
# half minute in test-e2e. ESCALATION_SEED repeats a walk.
ESCALATION_DURATION ?= 2h
test-escalation: bin/devcluster bin/ks-apiserver
	bin/devcluster up --quiet --unsafe-no-fsync --nodes 1 -- env ESCALATION_DURATION=$(ESCALATION_DURATION) go test -vet=off -count=1 -tags e2e -v -timeout 0 -run 'TestWalk$$' ./test/e2e

# Ratios against a bare net/http server that sends the same bytes, over a real
# kube-apiserver with PODS pods.
PODS ?= 10000
# Where Kubernetes works while something is measured, its garbage collector takes
# less of the machine than it does by itself. What has run for a while with many
# objects changes fewer of them in a second, so that changes have one of their own.
BUSY_CLUSTER = env GOGC=400 bin/devcluster up --quiet --unsafe-no-fsync
bench: bin/ks-apiserver bin/devcluster
	go build -o bin/bench ./hack/bench
	bin/devcluster up --quiet --unsafe-no-fsync --pods 1000 -- bin/bench --page --save bin/bench-small.txt
	bin/devcluster up --quiet --unsafe-no-fsync --pods $(PODS) -- bin/bench --parts requests,list,logins,watchers,grow
	$(BUSY_CLUSTER) --pods $(PODS) -- env -u GOGC bin/bench --parts updates
	bin/devcluster up --quiet --unsafe-no-fsync --pods 100000 -- bin/bench --page --against bin/bench-small.txt

	$(MAKE) bench-proxy

# The same requests to kube-apiserver, through the server and directly.
bench-proxy: bin/ks-apiserver bin/devcluster
	go build -o bin/bench ./hack/bench
	$(BUSY_CLUSTER) --pods 400 -- env -u GOGC bin/bench --proxy --bindings 1000

# The benchmarks next to the code.
bench-units:
	go test -run '^$$' -bench . -benchmem ./pkg/...

generate: bin/controller-gen bin/devcluster bin/oapi-codegen
	bin/controller-gen object paths=./api/...
	rm -f config/crds/*.yaml
	bin/controller-gen crd paths=./api/... output:crd:dir=config/crds
	rm -f deploy/helm/ks-apiserver/policies/*.yaml
	cp $(filter-out %/kustomization.yaml %/bindings.yaml,$(wildcard deploy/kustomize/policies/*.yaml)) deploy/helm/ks-apiserver/policies/
	go run ./cmd/ks-apiserver openapi > bin/swagger.json && mv bin/swagger.json api/ks-openapi-spec/swagger.json
	go run ./cmd/ks-apiserver openapi --v3 > bin/openapi.json && mv bin/openapi.json api/ks-openapi-spec/openapi.json
	bin/devcluster up --quiet --unsafe-no-fsync --nodes 1 -- hack/crdspec/generate.sh api/openapi-spec/swagger.json
	bin/oapi-codegen -config test/sdk/oapi-codegen.yaml api/ks-openapi-spec/openapi.json

verify-generate: generate
	@git diff --exit-code -- api config deploy test/sdk && test -z "$$(git status --porcelain -- api config deploy test/sdk)" || \
		{ echo "generated files are not current: run make generate and commit the result" >&2; exit 1; }

lint: bin/golangci-lint
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "run gofmt on:" >&2; gofmt -l $$(git ls-files '*.go') >&2; exit 1; }
	go mod tidy -diff
	bin/golangci-lint run ./...
	cd test/deploy && ../../bin/golangci-lint run ./...
	cd test/browser && ../../bin/golangci-lint run ./...
	cd test/oidc && ../../bin/golangci-lint run ./...
	cd test/identity && ../../bin/golangci-lint run ./...
	cd test/upgrade && ../../bin/golangci-lint run ./...

image:
	docker build --build-arg VERSION=$(VERSION) --build-arg COMMIT=$(COMMIT) -t $(IMAGE) .

clean:
	rm -rf bin .cache
