package request

import (
	"net/url"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metainternalversionscheme "k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestParameters: one value of each, as Kubernetes reads it, or a refusal.
func TestParameters(t *testing.T) {
	for _, test := range []struct {
		query, selector string
		watch, refused  bool
	}{
		{"", "", false, false},
		{"watch=False", "", false, false}, {"watch=FALSE", "", false, false}, {"watch=false", "", false, false}, {"watch=0", "", false, false},
		{"watch=True", "", true, false}, {"watch=1", "", true, false}, {"watch", "", true, false}, {"watch=", "", true, false},
		{"watch=f", "", false, true}, {"watch=no", "", false, true}, {"watch=yes", "", false, true}, {"watch=0&watch=1", "", false, true}, {"watch=1&watch=1", "", false, true},
		{"Watch=true", "", false, false}, // parameters have a case
		{"fieldSelector=metadata.name%3Da", "metadata.name=a", false, false},
		{"fieldSelector=metadata.name%3Da&fieldSelector=", "", false, true}, {"fieldSelector=a", "", false, true},
		{"limit=1&limit=1", "", false, true}, {"dryRun=All&dryRun=", "", false, true}, {"continue=a&continue=b", "", false, true},
		{"propagationPolicy=Orphan&propagationPolicy=Background", "", false, true}, {"propagationPolicy=Orphan", "", false, false},
		{"confirmBindings=true&confirmBindings=false", "", false, true}, {"confirmBindings=yes", "", false, true}, {"confirmBindings=1", "", false, false},
		{"a=1;watch=true", "", false, true}, {"watch=true&a=%zz", "", false, true}, {"watch%=1", "", false, true},
		{"container=a&command=b&command=c", "", false, false}, // what decides nothing may be repeated
	} {
		p, err := ParseParameters(test.query)
		if test.refused != apierrors.IsBadRequest(err) || (err == nil) == test.refused {
			t.Errorf("%q: %v", test.query, err)
			continue
		}
		if err == nil && (p.Watch != test.watch || (p.Fields != nil) != (test.selector != "") || p.Fields != nil && p.Fields.String() != test.selector) {
			t.Errorf("%q: %+v", test.query, p)
		}
	}
}

// TestSingle: parameters of one operation that may be given once.
func TestSingle(t *testing.T) {
	for _, test := range []struct {
		query, value        string
		enabled             bool
		repeated, noBoolean bool
	}{
		{"", "", false, false, false}, {"p=", "", false, false, false}, {"p", "", false, false, false}, {"p=True", "True", true, false, false}, {"p=0", "0", false, false, false},
		{"p=x", "x", false, false, true}, {"p=t", "t", false, false, true}, {"p=1&p=1", "1", false, true, true}, {"p=0&p=1", "1", false, true, true},
	} {
		parameters, err := ParseParameters(test.query)
		if err != nil {
			t.Fatal(err)
		}
		if value, err := parameters.Single("p"); apierrors.IsBadRequest(err) != test.repeated || value != test.value {
			t.Errorf("%q: %q %v", test.query, value, err)
		}
		if enabled, err := parameters.SingleBool("p"); apierrors.IsBadRequest(err) != test.noBoolean || enabled != test.enabled {
			t.Errorf("%q: %v %v", test.query, enabled, err)
		}
	}
}

// FuzzParameters: what is not refused is read as kube-apiserver reads it.
func FuzzParameters(f *testing.F) {
	for _, seed := range []string{
		"watch=False", "watch=true&timeoutSeconds=5", "watch&allowWatchBookmarks=TRUE", "fieldSelector=a%3Db,c!%3Dd&labelSelector=x", "sendInitialEvents=0&resourceVersionMatch=NotOlderThan",
		"limit=5&continue=abc", "resourceVersion=12", "watch=1;watch=0", "watch=%31", "w%61tch=true", "watch=tRuE&watch=", "fieldSelector=a%5C%3Db%3Dc", "watch=0&x=%2e%3B",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		p, err := ParseParameters(raw)
		if err != nil {
			if !apierrors.IsBadRequest(err) {
				t.Fatalf("%q: %v is not a bad request", raw, err)
			}
			return
		}
		theirs := &metainternalversion.ListOptions{}
		values := (&url.URL{RawQuery: raw}).Query()
		if err := metainternalversionscheme.ParameterCodec.DecodeParameters(values, metav1.SchemeGroupVersion, theirs); err != nil {
			return // kube-apiserver refuses it
		}
		selector := ""
		if theirs.FieldSelector != nil {
			selector = theirs.FieldSelector.String()
		}
		ours := ""
		if p.Fields != nil {
			ours = p.Fields.String()
		}
		if p.Watch != theirs.Watch || p.AllowWatchBookmarks != theirs.AllowWatchBookmarks || theirs.SendInitialEvents != nil && p.SendInitialEvents != *theirs.SendInitialEvents ||
			p.ResourceVersion != theirs.ResourceVersion || p.Continue != theirs.Continue || string(theirs.ResourceVersionMatch) != p.ResourceVersionMatch || ours != selector {
			t.Fatalf("%q: ours %+v, theirs %+v", raw, p, theirs)
		}
	})
}
