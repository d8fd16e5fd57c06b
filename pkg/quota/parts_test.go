package quota

import (
	"errors"
	"testing"
)

// TestParts: the parts of a holder take nothing from those of another, and a part has half of
// what its holder has, then half of the rest.
func TestParts(t *testing.T) {
	p := NewParts(8)
	take := func(holder, part string) (held int64) {
		for p.Take(holder, part, 1) == nil {
			held++
		}
		return held
	}
	for _, test := range []struct {
		holder, part string
		want         int64
	}{{"jane", "a", 4}, {"jane", "b", 2}, {"jane", "c", 1}, {"jane", "d", 1}, {"jane", "e", 0}, {"joe", "a", 4}} {
		if held := take(test.holder, test.part); held != test.want {
			t.Errorf("part %s of %s has %d, want %d", test.part, test.holder, held, test.want)
		}
	}
	if err := p.Take("jane", "a", 1); !errors.Is(err, ErrShare) {
		t.Error(err)
	}
	for part, held := range map[string]int64{"a": 4, "b": 2, "c": 1, "d": 1} {
		p.Release("jane", part, held)
	}
	if p.Release("joe", "a", 4); len(p.of) != 0 {
		t.Errorf("%d holders are left", len(p.of))
	}
	if err := NewParts(0).Take("jane", "a", 1<<40); err != nil {
		t.Errorf("without a bound: %v", err)
	}
}
