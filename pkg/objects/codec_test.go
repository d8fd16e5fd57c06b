package objects

import (
	"errors"
	"io"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer/streaming"
	"k8s.io/apimachinery/pkg/watch"
	restwatch "k8s.io/client-go/rest/watch"
)

// TestDecodeList reads lists as kube-apiserver sends them.
func TestDecodeList(t *testing.T) {
	c := codec{kind: NewCatalog().Type("pods")}
	for _, test := range []struct {
		name, answer      string
		version, proceeds string
		names             []string
	}{
		{"objects without kind", `{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":[{"metadata":{"name":"a"}},{"metadata":{"name":"b"}}]}`, "7", "", []string{"a", "b"}},
		{"objects with kind", `{"kind":"PodList","metadata":{"resourceVersion":"7"},"items":[{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"}}]}`, "7", "", []string{"a"}},
		{"a part of a list", `{"metadata":{"resourceVersion":"7","continue":"next","remainingItemCount":3},"items":[{"metadata":{"name":"a"}}]}`, "7", "next", []string{"a"}},
		{"nothing", `{"kind":"PodList","metadata":{"resourceVersion":"7"},"items":[]}`, "7", "", nil},
		// What Go servers send for an empty list became an object of garbage.
		{"null for nothing", `{"kind":"PodList","metadata":{"resourceVersion":"7"},"items":null}`, "7", "", nil},
		{"items before the metadata", `{"items":[{"metadata":{"name":"a","resourceVersion":"3"}}],"metadata":{"resourceVersion":"7"}}`, "7", "", []string{"a"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			list := &objectList{}
			if _, _, err := c.Decode([]byte(test.answer), nil, list); err != nil {
				t.Fatal(err)
			}
			if list.ResourceVersion != test.version || list.Continue != test.proceeds {
				t.Errorf("version %q, continue %q", list.ResourceVersion, list.Continue)
			}
			if len(list.Items) != len(test.names) {
				t.Fatalf("%d items, want %v", len(list.Items), test.names)
			}
			for n, name := range test.names {
				if got := list.Items[n]; got.Name != name || got.item.Name() != name || !strings.HasPrefix(got.item.JSON(), `{"kind":"Pod","apiVersion":"v1"`) {
					t.Errorf("item %d is %s", n, got.item.JSON())
				}
			}
		})
	}
	for name, answer := range map[string]string{"cut off": `{"items":[{"metadata":{"name":"a"}}`, "no JSON": `<html>`, "empty": ``} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := c.Decode([]byte(answer), nil, &objectList{}); err == nil {
				t.Error("accepted")
			}
		})
	}
}

// TestDecodeWatch reads a watch through client-go, as the reflector does.
func TestDecodeWatch(t *testing.T) {
	kind := NewCatalog().Type("pods")
	stream := `{"type":"ADDED","object":{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a","namespace":"n","resourceVersion":"1","managedFields":[{"manager":"m"}]}}}
{"type":"MODIFIED","object":{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","namespace":"n","resourceVersion":"2","annotations":{"a":"}{\"\u263a"}}}}
{"type":"BOOKMARK","object":{"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":"3","annotations":{"k8s.io/initial-events-end":"true"}}}}
{"type":"DELETED","object":{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a","namespace":"n","resourceVersion":"4"}}}
{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"too old resource version","reason":"Expired","code":410}}
`
	events := decodeWatch(t, kind, stream)
	var types []string
	for n, event := range events[:4] {
		decoded, isObject := event.Object.(*object)
		if !isObject {
			t.Fatalf("event %d holds %T", n, event.Object)
		}
		types = append(types, string(event.Type)+" "+decoded.ResourceVersion+" "+decoded.Name)
	}
	if got := strings.Join(types, ", "); got != "ADDED 1 a, MODIFIED 2 a, BOOKMARK 3 , DELETED 4 a" {
		t.Error(got)
	}
	if got := events[0].Object.(*object).item.JSON(); strings.Contains(got, "managedFields") {
		t.Errorf("managed fields are kept: %s", got)
	}
	if got := events[1].Object.(*object).item.Field("metadata.annotations.a").String(); got != `}{"☺` {
		t.Errorf("annotation %q", got)
	}
	if got := events[2].Object.(*object).Annotations[metav1.InitialEventsAnnotationKey]; got != "true" {
		t.Errorf("the end of the initial events is %q", got)
	}
	if err := apierrors.FromObject(events[4].Object); events[4].Type != watch.Error || !apierrors.IsResourceExpired(err) {
		t.Errorf("%s: %v", events[4].Type, err)
	}
}

// TestDecodeWatchErrors: a stream that breaks ends in an error, not in half an
// object.
func TestDecodeWatchErrors(t *testing.T) {
	for name, stream := range map[string]string{
		"cut off":        `{"type":"ADDED","object":{"kind":"Pod","metadata":{"na`,
		"not JSON":       `{"type":"ADDED","object":{]}}`,
		"no JSON at all": `internal error`,
	} {
		t.Run(name, func(t *testing.T) {
			decoder := watchDecoder(NewCatalog().Type("pods"), stream)
			if _, event, err := decoder.Decode(); err == nil {
				t.Errorf("got %v", event)
			}
		})
	}
}

// watchDecoder puts a codec to the use client-go's REST client makes of it.
func watchDecoder(kind *Type, stream string) *restwatch.Decoder {
	objects, frames, framer, err := codec{kind: kind}.StreamDecoder("application/json", nil)
	if err != nil {
		panic(err) // it never fails
	}
	return restwatch.NewDecoder(streaming.NewDecoder(framer.NewFrameReader(io.NopCloser(strings.NewReader(stream))), frames), objects)
}

func decodeWatch(t *testing.T, kind *Type, stream string) []watch.Event {
	t.Helper()
	decoder := watchDecoder(kind, stream)
	var events []watch.Event
	for {
		action, decoded, err := decoder.Decode()
		if errors.Is(err, io.EOF) {
			return events
		}
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, watch.Event{Type: action, Object: decoded})
	}
}
