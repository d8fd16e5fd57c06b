package identity

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"testing"
	"time"
)

// rankSum is the z value of the Mann-Whitney U test: how many standard
// deviations the sum of the ranks of a is off what it is when a and b are alike.
func rankSum(a, b []time.Duration) float64 {
	type sample struct {
		took time.Duration
		ofA  bool
	}
	var all []sample
	for _, took := range a {
		all = append(all, sample{took, true})
	}
	for _, took := range b {
		all = append(all, sample{took, false})
	}
	slices.SortFunc(all, func(x, y sample) int { return cmp.Compare(x.took, y.took) })
	rank := 0.0
	for n, one := range all {
		if one.ofA {
			rank += float64(n + 1)
		}
	}
	na, nb := float64(len(a)), float64(len(b))
	return (rank - na*(na+nb+1)/2) / math.Sqrt(na*nb*(na+nb+1)/12)
}

// TestP16Enumeration: the time an answer takes tells nobody which users there
// are, at p = 0.01. One in a hundred comparisons of what is alike looks
// different by chance; the same difference three times in a row is none.
func TestP16Enumeration(t *testing.T) {
	passwords, err := NewPasswords(newUsers(t), hasher(t), patient())
	if err != nil {
		t.Fatal(err)
	}
	const runs, significant = 100, 2.576
	names := []string{"nobody", "admin", "disabled", "limited", "external", "nobody@example.com", "admin@example.com"}
	measure := func() map[string][]time.Duration {
		took := make(map[string][]time.Duration)
		for range runs {
			for _, name := range names { // in turn, so that what else the machine does meets all
				started := time.Now()
				if _, err := passwords.Authenticate(t.Context(), Attempt{Name: name, Password: "wrong"}); !errors.Is(err, ErrIncorrect) {
					t.Fatal(err)
				}
				took[name] = append(took[name], time.Since(started))
			}
		}
		return took
	}
	seen := make(map[string][]float64)
	suspicious := names[1:]
	for range 3 {
		took := measure()
		suspicious = slices.DeleteFunc(slices.Clone(suspicious), func(name string) bool {
			z := rankSum(took["nobody"], took[name])
			seen[name] = append(seen[name], z)
			return math.Abs(z) < significant
		})
		if len(suspicious) == 0 {
			break
		}
	}
	for _, name := range suspicious {
		if slices.Max(seen[name]) < 0 || slices.Min(seen[name]) > 0 {
			t.Errorf("%s can be told from a user who does not exist: z = %.1f", name, seen[name])
		}
	}
	// The test itself can tell a difference.
	a, b := make([]time.Duration, runs), make([]time.Duration, runs)
	for n := range runs {
		a[n], b[n] = time.Duration(1000+n), time.Duration(1000+n+runs/3)
	}
	if math.Abs(rankSum(a, b)) < significant {
		t.Error("a difference of a fifth is not seen")
	}
}
