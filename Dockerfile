# syntax=docker/dockerfile:1

# The build runs where the builder is and compiles for the target: Go needs no
# emulation for that.
FROM --platform=$BUILDPLATFORM golang:1.26-bookworm AS build
WORKDIR /src
# The modules change less often than the code; so does this layer.
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS
ARG TARGETARCH
# The version of the KubeSphere API, which the console asks for; the commit is
# not known here, .git stays outside.
ARG VERSION=v3.4.0
ARG COMMIT=
ARG BUILD_DATE=
RUN package=github.com/super-kubenetes/ks-apiserver/pkg/app && \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath \
    -ldflags "-s -w -X $package.Version=$VERSION -X $package.GitCommit=$COMMIT -X $package.BuildDate=$BUILD_DATE" \
    -o /out/ks-apiserver ./cmd/ks-apiserver

# Nothing but the server: no shell, no package to patch.
FROM scratch
# To verify the certificates of identity providers and member clusters.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/ks-apiserver /ks-apiserver
# nobody in particular; by number, so that Kubernetes can see it isn't root.
USER 65532:65532
EXPOSE 9090
ENTRYPOINT ["/ks-apiserver"]
