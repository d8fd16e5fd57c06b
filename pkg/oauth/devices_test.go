package oauth

import "testing"

// TestDevices: who asks for devices without end keeps nobody else from it.
func TestDevices(t *testing.T) {
	d := NewDevices()
	count := func(address string) (n int) {
		for range 2 * devicesAtOnce {
			if d.allow(address) {
				n++
			}
		}
		return n
	}
	if n := count("192.0.2.1"); n > devicesAtOnce/devicesPart+1 {
		t.Errorf("one address has %d", n)
	}
	if !d.allow("192.0.2.2") {
		t.Error("nothing is left for others")
	}
	if n := count("2001:db8::1"); n > devicesAtOnce/devicesPart+1 || d.allow("2001:db8::2") {
		t.Errorf("one host has %d and more", n)
	}
	if n := count("192.0.2.3"); n > 2 {
		t.Errorf("all together have %d more", n)
	}
	if none := (*Devices)(nil); !none.allow("192.0.2.1") {
		t.Error("without a bound")
	}
}
