package quantity

import (
	"math"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"pgregory.net/rapid"
)

// TestCapped: an amount of a few bytes took a processor for minutes as soon as it was added
// to another.
func TestCapped(t *testing.T) {
	largest, none := resource.NewQuantity(math.MaxInt64, resource.DecimalSI).String(), "0"
	for text, want := range map[string]string{
		"0": "0", "1": "1", "100m": "100m", "1n": "1n", "-5": "-5", "1.5": "1500m", "1Gi": "1Gi", "8Ei": "8Ei", "9223372036854775807": "9223372036854775807", "1e18": "1e18", "1E": "1E", "123456.789": "123456789m",
		"1e30": largest, "1e300": largest, "1e1000000": largest, "1e100000000": largest, "-1e1000000": resource.NewQuantity(math.MinInt64, resource.DecimalSI).String(),
		"0e1000000": none, "99999999999999999999999999999999": largest,
	} {
		q, err := resource.ParseQuantity(text)
		if err != nil {
			t.Errorf("%s is none: %v", text, err)
			continue
		}
		began := time.Now()
		bounded := IsBounded(q)
		capped := Capped(q)
		capped.Add(*resource.NewQuantity(0, resource.DecimalSI))
		if got := capped.String(); capped.Cmp(resource.MustParse(want)) != 0 || bounded != (want != largest && want != none && text[0] != '-' || text == "0" || text == "-5" || text == largest) {
			t.Errorf("%s is %s, bounded %t", text, got, bounded)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("%s took %s", text, took)
		}
	}
	list := corev1.ResourceList{"a": resource.MustParse("1"), "b": resource.MustParse("1e1000000")}
	if capped := CappedList(list); AreBounded(list) || !AreBounded(capped) || len(capped) != 2 || list.Name("b", resource.DecimalSI).Format != resource.DecimalExponent {
		t.Errorf("got %v", capped)
	}
}

// TestIsReadable: to read an amount of many digits with a large exponent took a second for
// each, before it could be compared with a bound.
func TestIsReadable(t *testing.T) {
	digits := "12345678901234567890"
	for text, want := range map[string]bool{
		`{"a":"1e18"}`: true, `{"a":1e18}`: true, `{"a":"1e099"}`: true, `{"a":"100m","b":"1Gi"}`: true, `{"a":"` + digits + `"}`: true, ``: true,
		`{"a":"sha-` + digits + `e9999999"}`: true, `{"a":"` + digits + `e9999999f"}`: true, `"e5e5e5e5"`: true,
		`{"a":"` + digits + `e9999999"}`: false, `{"a":` + digits + `E-9999999}`: false, `{"a":"1e-0009999999"}`: false, `{"a": "-1.5e+100" }`: false, `["1e1000"]`: false, `1e1000`: false,
		`{"a":"` + digits + digits + digits + digits + `"}`: false,
	} {
		if got := IsReadable([]byte(text)); got != want {
			t.Errorf("%s: %t", text, got)
		}
	}
	// What may be read is read in no time.
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[-+]?[0-9.]{1,80}([eE][-+]?[0-9]{1,9}|m|n|k|Ki|Ei|E)?`).Draw(t, "text")
		if !IsReadable([]byte(`"` + text + `"`)) {
			return
		}
		began := time.Now()
		if _, err := resource.ParseQuantity(text); err == nil && time.Since(began) > time.Second {
			t.Fatalf("%s took %s", text, time.Since(began))
		}
	})
}

// TestCappedIsBounded: whatever text an amount has.
func TestCappedIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[-+]?[0-9]{1,40}(\.[0-9]{0,20})?(e[-+]?[0-9]{1,5}|m|n|k|Ki|Ei|E)?`).Draw(t, "text")
		q, err := resource.ParseQuantity(text)
		if err != nil {
			return
		}
		capped := Capped(q)
		if !IsBounded(capped) {
			t.Fatalf("%s is not", text)
		}
		capped.Add(capped)
		_ = capped.String()
	})
}
