package request

import (
	"context"
	"testing"
)

// TestContext: what a request is described by is found behind contexts made of its own,
// and another description hides the first.
func TestContext(t *testing.T) {
	info, other := &Info{Path: "/one"}, &Info{Path: "/other"}
	type key struct{}
	before := context.WithValue(t.Context(), key{}, "before")
	ctx, cancel := context.WithCancel(NewContext(before, Origin{ID: "id", Address: "192.0.2.1", Authorization: Authorization{"Bearer token", "token"}}, info))
	defer cancel()
	if ID(ctx) != "id" || Address(ctx) != "192.0.2.1" || AuthorizationFrom(ctx) != "Bearer token" || TokenFrom(ctx) != "token" || InfoFrom(ctx) != info || ctx.Value(key{}) != "before" {
		t.Errorf("%q, %q, %q, %q, %v, %v", ID(ctx), Address(ctx), AuthorizationFrom(ctx), TokenFrom(ctx), InfoFrom(ctx), ctx.Value(key{}))
	}
	if got := WithInfo(ctx, other); InfoFrom(got) != other || ID(got) != "id" {
		t.Errorf("rewritten: %v, %q", InfoFrom(got), ID(got))
	}
	if got := NewContext(ctx, Origin{}, nil); InfoFrom(got) != info || ID(got) != "" || TokenFrom(got) != "" {
		t.Errorf("without a description: %v, %q", InfoFrom(got), ID(got))
	}
	if ID(before) != "" || Address(before) != "" || TokenFrom(before) != "" || InfoFrom(before) != nil {
		t.Error("outside of a request something is known of one")
	}
}
