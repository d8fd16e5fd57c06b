package query

import (
	"encoding/base64"
	"testing"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

func TestContinuation(t *testing.T) {
	want := Continuation{Version: 1 << 60, Offset: 500}
	got, err := ParseContinuation(want.String())
	if err != nil || got != want {
		t.Errorf("got %v, %v", got, err)
	}
	for _, text := range []string{"", "v1", "v1:1", "v1:0:1", "v1:1:0", "v1:1:-1", "v1:1:99999999999", "v2:1:1", "v1:1:1:1", "v1:x:1"} {
		if _, err := ParseContinuation(base64.RawURLEncoding.EncodeToString([]byte(text))); err == nil || status.Of(err).Code != 400 {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := ParseContinuation("%%%"); err == nil {
		t.Error("no base64 is accepted")
	}
}

func TestKubernetesPaging(t *testing.T) {
	token := Continuation{Version: 7, Offset: 5}.String()
	for _, test := range []struct {
		name string
		q    Query
		want Query
		code int32
	}{
		{"limit=0 is no limit", Query{Page: 1}, Query{Page: 1, Limit: Unlimited}, 0},
		{"a page", Query{Page: 2, Limit: 5}, Query{Page: 2, Limit: 5}, 0},
		{"a further page", Query{Page: 1, Limit: 5, Continue: token}, Query{Page: 1, Limit: 5, Continue: token, ResourceVersion: 7, Exact: true, Start: 5}, 0},
		{"all that is left", Query{Page: 1, Limit: Unlimited, Continue: token}, Query{Page: 1, Limit: Unlimited, Continue: token, ResourceVersion: 7, Exact: true, Start: 5}, 0},
		{"with a version", Query{Continue: token, ResourceVersion: 7}, Query{}, 400},
		{"no token", Query{Continue: "x"}, Query{}, 400},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := test.q.UseKubernetesPaging()
			if test.code != 0 {
				if err == nil || status.Of(err).Code != test.code {
					t.Errorf("got %v", err)
				}
				return
			}
			got, want := test.q, test.want
			if err != nil || got.Limit != want.Limit || got.Start != want.Start || got.Exact != want.Exact || got.ResourceVersion != want.ResourceVersion {
				t.Errorf("got %+v, %v", got, err)
			}
			if want.Start > 0 && got.Offset() != want.Start {
				t.Errorf("the page begins at %d", got.Offset())
			}
		})
	}
}
