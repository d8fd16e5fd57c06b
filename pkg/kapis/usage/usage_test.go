package usage

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects/objectstest"
)

// TestQuotas: the lowest limit of several counts, and quotas of many resources make no answer
// of many megabytes.
func TestQuotas(t *testing.T) {
	lists := make(map[string][]string)
	for _, name := range counted() {
		lists[name] = nil
	}
	for _, test := range []struct {
		name    string
		names   int // in each of two quotas
		want    int
		warning bool
	}{
		{"a few", 3, 3, false},
		{"as many as are listed", mostNames, mostNames, false},
		{"more than are listed", 20_000, mostNames, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			quotas := &corev1.ResourceQuotaList{Items: make([]corev1.ResourceQuota, 2)}
			for q := range quotas.Items {
				numbers := make(corev1.ResourceList)
				for n := range test.names {
					numbers[corev1.ResourceName(fmt.Sprintf("count/a%06d.example.com", n))] = *resource.NewQuantity(int64(5+q), resource.DecimalSI)
				}
				quotas.Items[q].ObjectMeta = metav1.ObjectMeta{Namespace: "n", Name: fmt.Sprint("q", q)}
				quotas.Items[q].Status = corev1.ResourceQuotaStatus{Hard: numbers}
			}
			cache, _ := objectstest.NewCache(t, lists)
			h := &Handler{Cache: cache, Catalog: objects.NewCatalog(), Client: fake.NewClientBuilder().WithLists(quotas).Build()}
			r := httptest.NewRequest("GET", "/", nil)
			r.SetPathValue("namespace", "n")
			w := httptest.NewRecorder()
			if err := h.quotas(w, r); err != nil {
				t.Fatal(err)
			}
			var got Quotas
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || len(got.Data.Hard) != test.want || got.Data.Hard["count/a000000.example.com"] != "5" {
				t.Errorf("%d names, want %d: %.200s, %v", len(got.Data.Hard), test.want, w.Body, err)
			}
			if len(got.Data.Used) != len(counted()) || (w.Header().Get("Warning") != "") != test.warning {
				t.Errorf("%v, %v", got.Data.Used, w.Header())
			}
		})
	}
}
