package iam

import "testing"

// BenchmarkRights is what a decision pays to know that nothing has changed.
func BenchmarkRights(b *testing.B) {
	lists := map[string][]string{}
	for _, resource := range Pinned() {
		lists[resource] = nil
	}
	d, _ := newDirectory(b, lists)
	if _, err := d.Rights(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Rights(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
