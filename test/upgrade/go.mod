module github.com/super-kubenetes/ks-apiserver/test/upgrade

go 1.26.0
