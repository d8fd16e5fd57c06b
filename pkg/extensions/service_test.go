package extensions

import (
	"testing"

	v1alpha1 "github.com/super-kubenetes/ks-apiserver/api/extensions/v1alpha1"
)

// TestNamesService: which Services serve a part of the API.
func TestNamesService(t *testing.T) {
	r := &Registry{}
	if r.NamesService("x", "back") {
		t.Error("before the objects are known")
	}
	b, err := newBackend(&claim{kind: kindAPIService, endpoint: v1alpha1.Endpoint{Service: &v1alpha1.ServiceReference{Namespace: "x", Name: "back"}}}, nil, leftAlone)
	if err != nil {
		t.Fatal(err)
	}
	r.table.Store(&table{backends: []*backend{b}})
	for service, want := range map[[2]string]bool{{"x", "back"}: true, {"x", ""}: true, {"x", "other"}: false, {"y", "back"}: false, {"y", ""}: false} {
		if got := r.NamesService(service[0], service[1]); got != want {
			t.Errorf("%v: %v", service, got)
		}
	}
}

// TestServiceAddress: the name of another host is no address of a Service.
func TestServiceAddress(t *testing.T) {
	for _, test := range []struct{ serviceType, clusterIP, want string }{
		{"ClusterIP", "10.96.0.7", "10.96.0.7:80"},
		{"", "fd00::7", "[fd00::7]:80"},
		{"ClusterIP", "None", "back.x.svc:80"},
		{"LoadBalancer", "10.96.0.8", "10.96.0.8:80"},
		{"ExternalName", "", ""},
		{"ExternalName", "10.96.0.7", ""},
	} {
		got, err := serviceAddress("x", "back", test.serviceType, test.clusterIP, 80)
		if got != test.want || (err != nil) != (test.want == "") {
			t.Errorf("%+v: %q, %v", test, got, err)
		}
	}
}
